"""The labs: the smallest honest experiment on each paper's mechanism.

A lab is declared in ``ktreview/data/labs/<lab>.yaml`` before it runs, and its mechanism stands in a module
of its own, ``ktlabs/<theme>/<lab>.py``, beside the kits that serve one theme; ``ktlabs/bench`` holds what
serves several. What a lab measured is committed as ``ktreview/data/labs/<lab>.csv``; reading that needs
nothing of what running needs.
"""
