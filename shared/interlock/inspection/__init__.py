"""Looking at an installation through the bus: what there is, what runs, what is wrong. Reads only, changes nothing.

view      the state of everything, gathered in a few reads
tables    the same for people
"""
