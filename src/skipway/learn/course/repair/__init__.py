"""Two trainings at chance, one of which depth has nothing to do with."""
