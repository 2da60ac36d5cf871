"""The course: write the skip connection yourself, and be told why an attempt is wrong.

`skipway learn` is its command line; `check` is for notebooks.
"""
