"""Skipway where people work, one file for each framework.

```
lightning      `WatchLayers`, a Callback for Lightning's Trainer
transformers   `WatchLayers`, a TrainerCallback for the Trainer of Hugging Face
notebook       `live`, a view of a watched training that refreshes in place; `page`, a whole report
```
Nothing here is imported by the rest of the library, and each file imports its framework when it is
imported itself: `from skipway.integrations.lightning import WatchLayers`. A plain loop and
Accelerate need nothing of this: `skipway.watch(model, optimizer)`.
"""
