"""What tests/bench/answers is made of.

    content    the zones that all servers have, the members with their health, the queries
    peers      a class a server: writes its configuration, starts it, tells its processes
    machine    processors and priority, processor time, system calls
    load       runs the load programs against a server
    judge      checks sampled responses by dnspython
    table      lines of a table
    rates      the section `rates`; other sections likewise have run(context), which returns the lines to print
"""
