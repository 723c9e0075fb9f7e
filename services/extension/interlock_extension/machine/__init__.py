"""What any proxy on this machine needs, whichever it is: a folder of files, processes, limits."""
