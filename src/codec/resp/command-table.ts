/**
 * What clients are told about each command (COMMAND, COMMAND DOCS), a line each: name, arity (with the name; negative:
 * at least), group, flags, positions of its keys (first, last, step; a last of -1 counts from the end), first version of
 * Redis that had it, summary.
 */
export const COMMAND_TABLE = `
get          2 string       readonly,fast                               1,1,1  1.0.0  Get the value of a key
set         -3 string       write,denyoom                               1,1,1  1.0.0  Set the value of a key
setex        4 string       write,denyoom                               1,1,1  2.0.0  Set the value and the time to live, in seconds, of a key
psetex       4 string       write,denyoom                               1,1,1  2.6.0  Set the value and the time to live, in milliseconds, of a key
setnx        3 string       write,denyoom,fast                          1,1,1  1.0.0  Set the value of a key that does not exist
getset       3 string       write,denyoom,fast                          1,1,1  1.0.0  Set the value of a key and return the old one
mget        -2 string       readonly,fast                               1,-1,1 1.0.0  Get the values of several keys
mset        -3 string       write,denyoom                               1,-1,2 1.0.1  Set several keys, all or none
incr         2 string       write,denyoom,fast                          1,1,1  1.0.0  Increment the integer of a key by one
decr         2 string       write,denyoom,fast                          1,1,1  1.0.0  Decrement the integer of a key by one
incrby       3 string       write,denyoom,fast                          1,1,1  1.0.0  Increment the integer of a key by a number
decrby       3 string       write,denyoom,fast                          1,1,1  1.0.0  Decrement the integer of a key by a number
append       3 string       write,denyoom,fast                          1,1,1  2.0.0  Append to the value of a key
getdel       2 string       write,fast                                  1,1,1  6.2.0  Get the value of a key and delete it
getex       -2 string       write,fast                                  1,1,1  6.2.0  Get the value of a key and change its time to live
msetnx      -3 string       write,denyoom                               1,-1,2 1.0.1  Set several keys, all or none, if none of them exists
getrange     4 string       readonly                                    1,1,1  2.4.0  Get a part of the value of a key
substr       4 string       readonly                                    1,1,1  1.0.0  Get a part of the value of a key
setrange     4 string       write,denyoom                               1,1,1  2.2.0  Write over a part of the value of a key
incrbyfloat  3 string       write,denyoom,fast                          1,1,1  2.6.0  Increment the decimal number of a key by a number
strlen       2 string       readonly,fast                               1,1,1  2.2.0  Get the length of the value of a key
del         -2 generic      write                                       1,-1,1 1.0.0  Delete keys and tell how many there were
unlink      -2 generic      write,fast                                  1,-1,1 4.0.0  Delete keys and tell how many there were
exists      -2 generic      readonly,fast                               1,-1,1 1.0.0  Tell how many of the keys exist
touch       -2 generic      readonly,fast                               1,-1,1 3.2.1  Tell how many of the keys exist
type         2 generic      readonly,fast                               1,1,1  1.0.0  Tell the type of a key: string or none
ttl          2 generic      readonly,fast                               1,1,1  1.0.0  Tell how many seconds a key has to live
pttl         2 generic      readonly,fast                               1,1,1  2.6.0  Tell how many milliseconds a key has to live
expiretime   2 generic      readonly,fast                               1,1,1  7.0.0  Tell when a key expires, in seconds since 1970
pexpiretime  2 generic      readonly,fast                               1,1,1  7.0.0  Tell when a key expires, in milliseconds since 1970
expire      -3 generic      write,fast                                  1,1,1  1.0.0  Give a key a time to live, in seconds
pexpire     -3 generic      write,fast                                  1,1,1  2.6.0  Give a key a time to live, in milliseconds
expireat    -3 generic      write,fast                                  1,1,1  1.2.0  Let a key expire at a time, in seconds since 1970
pexpireat   -3 generic      write,fast                                  1,1,1  2.6.0  Let a key expire at a time, in milliseconds since 1970
persist      2 generic      write,fast                                  1,1,1  2.2.0  Take the time to live of a key away
rename       3 generic      write                                       1,2,1  1.0.0  Move a value to another key
renamenx     3 generic      write,fast                                  1,2,1  1.0.0  Move a value to another key if that does not exist
copy        -3 generic      write,denyoom                               1,2,1  6.2.0  Copy a value to another key
keys         2 generic      readonly                                    0,0,0  1.0.0  List the keys that match a pattern
randomkey    1 generic      readonly                                    0,0,0  1.0.0  Name a key by chance
object      -2 generic      -                                           0,0,0  2.2.3  Tell how a value is held
scan        -2 generic      readonly                                    0,0,0  2.8.0  Go through the keys, a page at a time
wait         3 generic      noscript                                    0,0,0  3.0.0  Wait until replicas hold the last write of this connection durably
dbsize       1 server       readonly,fast                               0,0,0  1.0.0  Count the keys of the keyspace
flushdb     -1 server       write                                       0,0,0  1.0.0  Remove all keys of the keyspace
flushall    -1 server       write                                       0,0,0  1.0.0  Remove all keys where there is one keyspace
command     -1 server       loading,stale                               0,0,0  2.8.13 Tell what commands there are
role         1 server       noscript,loading,stale,fast                 0,0,0  2.8.12 Tell whether the node leads the keyspace, and who does
info        -1 server       loading,stale                               0,0,0  1.0.0  Tell about the node
config      -2 server       -                                           0,0,0  2.0.0  Read the configuration
memory      -2 server       -                                           0,0,0  4.0.0  Tell how many bytes a record takes
latency     -2 server       -                                           0,0,0  2.8.13 Tell how long commands took
slowlog     -2 server       -                                           0,0,0  2.2.12 List the commands that took longest
debug       -2 server       admin,noscript,loading,stale                0,0,0  1.0.0  Not allowed here
time         1 server       loading,stale,fast                          0,0,0  2.6.0  Tell the wall clock of the node
ping        -1 connection   fast                                        0,0,0  1.0.0  Answer PONG, or the message
echo         2 connection   loading,stale,fast                          0,0,0  1.0.0  Answer the message
hello       -1 connection   noscript,loading,stale,fast,no_auth,allow_busy 0,0,0 6.0.0 Choose the version of the protocol
auth        -2 connection   noscript,loading,stale,fast,no_auth,allow_busy 0,0,0 1.0.0 Log in
select       2 connection   loading,stale,fast                          0,0,0  1.0.0  Choose the keyspace by name; 0 is the default one
quit        -1 connection   noscript,loading,stale,fast,no_auth,allow_busy 0,0,0 1.0.0 Close the connection
reset        1 connection   noscript,loading,stale,fast,no_auth,allow_busy 0,0,0 6.2.0 Put the connection back to its first state
client      -2 connection   -                                           0,0,0  2.4.0  Name, list and tune connections
gamut       -2 connection   loading,stale,fast                          0,0,0  7.0.15 Choose the level, carry the token, explain answers, manage keyspaces, call as the SDK does
subscribe   -2 pubsub       pubsub,noscript,loading,stale               0,0,0  2.0.0  Hear of the changes of keys
unsubscribe -1 pubsub       pubsub,noscript,loading,stale               0,0,0  2.0.0  Hear of them no more
psubscribe  -2 pubsub       pubsub,noscript,loading,stale               0,0,0  2.0.0  Hear of the changes of keys, by patterns
punsubscribe -1 pubsub      pubsub,noscript,loading,stale               0,0,0  2.0.0  Hear of them no more
publish      3 pubsub       pubsub,loading,stale,fast                   0,0,0  2.0.0  Not possible: there are no channels for messages
multi        1 transactions noscript,loading,stale,fast,allow_busy      0,0,0  1.2.0  Begin a transaction
exec         1 transactions noscript,loading,stale,skip_slowlog         0,0,0  1.2.0  Do the transaction, all or nothing
discard      1 transactions noscript,loading,stale,fast,allow_busy      0,0,0  2.0.0  Give the transaction up
watch       -2 transactions noscript,loading,stale,fast,allow_busy      1,-1,1 2.2.0  Let EXEC depend on keys being unchanged
unwatch      1 transactions noscript,loading,stale,fast,allow_busy      0,0,0  2.2.0  Forget the watched keys
`;
