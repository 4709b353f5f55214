"""The labs: the smallest honest experiment on each paper's mechanism.

A lab is declared in ``data/labs/<lab>.yaml`` before it runs, and its mechanism stands in a module of
its own, in a folder a theme. What it measured is committed as ``data/labs/<lab>.csv``; reading that
needs nothing of what running needs.
"""
