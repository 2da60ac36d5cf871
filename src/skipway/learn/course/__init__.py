"""The exercises, one folder each, in the order that `order.txt` gives.

```
exercise.py     what the learner gets: the task in its docstring, and what to write left open
solution.py     one way to write it
check.py        check(answer): raise `Wrong` with the reason; picture(answer): what it shows
hint.md         where to look, without the answer
explanation.md  what was just learned, shown on success
```
"""
