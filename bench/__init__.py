"""What we promise in numbers, measured on this machine: ``make bench``.

Each measured thing is one module with a function ``measure(folder)``, which gets a fresh DATA_DIR
in a process of its own and returns lines of the table. Nothing here fails for being slow.
"""
