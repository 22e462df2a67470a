"""What tests/bench/answers is made of.

    content    the zones that all servers have, the members with their health, the queries
    targets    what answers the probes of members
    peers      a class a server: writes its configuration, starts it, tells its processes
    machine    processors and priority, processor time, system calls
    turns      servers of which one runs at a time
    load       runs the load programs against a server
    judge      checks sampled responses by dnspython
    table      lines of a table
    many       servers with many names, and how each is told to read them again
    crowd      gslb with many services
    sharing    two workers beside one
    rates      the section `rates`; other sections likewise have run(context), which returns the lines to print
"""
