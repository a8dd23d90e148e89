"""A study's work on many machines, by Dask: a scheduler, workers that offer training slots and boards, and the search
that drives them. Needs the extra `tinynas[cluster]`; only this package imports `distributed`.

Two things leave a study: calls of functions in children, and orders to flash and measure. Each travels as one Dask task
whose argument and result are bytes of ours (`messages.py`), routed by a resource, "train" or "board:NAME". The driver,
which is the study's process, has the store; it submits again whatever a worker or the scheduler took along when it
died.
"""
