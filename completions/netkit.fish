# Print an optspec for argparse to handle cmd's options that are independent of any subcommand.
function __fish_netkit_global_optspecs
    string join \n v/verbose q/quiet log-format= log-file= syslog= h/help V/version
end

function __fish_netkit_needs_command
    # Figure out if the current invocation already has a command.
    set -l cmd (commandline -opc)
    set -e cmd[1]
    argparse -s (__fish_netkit_global_optspecs) -- $cmd 2>/dev/null
    or return
    if set -q argv[1]
        # Also print the command, so this can be used to figure out what it is.
        echo $argv[1]
        return 1
    end
    return 0
end

function __fish_netkit_using_subcommand
    set -l cmd (__fish_netkit_needs_command)
    test -z "$cmd"
    and return 1
    contains -- $cmd[1] $argv
end

complete -c netkit -n "__fish_netkit_needs_command" -l log-format -d 'How a line of the log is written' -r -f -a "text\t'for people'
json\t'an object a line'"
complete -c netkit -n "__fish_netkit_needs_command" -l log-file -d 'Log to a file instead of standard error; SIGHUP reopens it' -r -F
complete -c netkit -n "__fish_netkit_needs_command" -l syslog -d 'Log to the system\'s log, /dev/log, instead of standard error; PREFIX is our name there, by default netkit' -r
complete -c netkit -n "__fish_netkit_needs_command" -s v -l verbose -d 'Log connections; twice: log data too'
complete -c netkit -n "__fish_netkit_needs_command" -s q -l quiet -d 'Log errors only'
complete -c netkit -n "__fish_netkit_needs_command" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c netkit -n "__fish_netkit_needs_command" -s V -l version -d 'Print version'
complete -c netkit -n "__fish_netkit_needs_command" -f -a "serve" -d 'Run a built-in protocol on one or more server endpoints'
complete -c netkit -n "__fish_netkit_needs_command" -f -a "connect" -d 'Wire a client endpoint to stdin/stdout'
complete -c netkit -n "__fish_netkit_needs_command" -f -a "listen" -d 'Accept on a server endpoint and wire it to stdin/stdout'
complete -c netkit -n "__fish_netkit_needs_command" -f -a "relay" -d 'Forward every accepted connection to a client endpoint'
complete -c netkit -n "__fish_netkit_needs_command" -f -a "cert" -d 'Make certificates and keys, and look at them'
complete -c netkit -n "__fish_netkit_needs_command" -f -a "finger" -d 'Query a finger server'
complete -c netkit -n "__fish_netkit_needs_command" -f -a "run" -d 'Play scripts that test servers and clients, or run a command beside servers'
complete -c netkit -n "__fish_netkit_needs_command" -f -a "wait" -d 'Return once every endpoint accepts a connection, and then run a command'
complete -c netkit -n "__fish_netkit_needs_command" -f -a "explain" -d 'Show how an endpoint string is read, as client and as server'
complete -c netkit -n "__fish_netkit_needs_command" -f -a "translate" -d 'Print the netkit line that does what a line of nc, ncat, socat, openssl or stunnel does'
complete -c netkit -n "__fish_netkit_needs_command" -f -a "completions" -d 'Print the completion script for a shell'
complete -c netkit -n "__fish_netkit_needs_command" -f -a "manual" -d 'Write the manual pages into a directory'
complete -c netkit -n "__fish_netkit_needs_command" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c netkit -n "__fish_netkit_using_subcommand serve" -l max-connections -d 'Serve at most N connections at once; further clients wait in the backlog' -r
complete -c netkit -n "__fish_netkit_using_subcommand serve" -l max-connections-per-ip -d 'Serve at most N connections from one address at once; further ones are closed' -r
complete -c netkit -n "__fish_netkit_using_subcommand serve" -l idle-timeout -d 'Close a connection on which nothing has moved for so long' -r
complete -c netkit -n "__fish_netkit_using_subcommand serve" -l handshake-timeout -d 'Close a connection that is not established by then: its PROXY header read, and whatever else comes first' -r
complete -c netkit -n "__fish_netkit_using_subcommand serve" -l workers -d 'Serve with N threads' -r
complete -c netkit -n "__fish_netkit_using_subcommand serve" -l allow -d 'Let in clients from these addresses and, where no rule is about them, no others: an address, or a block such as 10.0.0.0/8; of several rules the most specific one decides' -r
complete -c netkit -n "__fish_netkit_using_subcommand serve" -l deny -d 'Turn away clients from these addresses; a tie denies' -r
complete -c netkit -n "__fish_netkit_using_subcommand serve" -l metrics -d 'Serve /metrics for Prometheus, /healthz and /readyz there, over HTTP' -r
complete -c netkit -n "__fish_netkit_using_subcommand serve" -l ready-file -d 'Once all endpoints are bound, write the client strings that lead to them here, a line each, atomically. A regular file that is there gives way; anything else stays, and is an error' -r -F
complete -c netkit -n "__fish_netkit_using_subcommand serve" -l ready-fd -d 'Write the same lines to descriptor N, then close it' -r
complete -c netkit -n "__fish_netkit_using_subcommand serve" -l grace -d 'After SIGINT or SIGTERM: how long open connections may go on' -r
complete -c netkit -n "__fish_netkit_using_subcommand serve" -l pidfile -d 'Write the number of the process to PATH and keep it locked; removed at the end' -r -F
complete -c netkit -n "__fish_netkit_using_subcommand serve" -l user -d 'Once all is bound, become USER, a name or a number, without supplementary groups and for good' -r -f -a "(__fish_complete_users)"
complete -c netkit -n "__fish_netkit_using_subcommand serve" -l group -d 'Become GROUP instead of the user\'s primary group' -r
complete -c netkit -n "__fish_netkit_using_subcommand serve" -l chroot -d 'Once all is bound, make DIR the root directory' -r -f -a "(__fish_complete_directories)"
complete -c netkit -n "__fish_netkit_using_subcommand serve" -l rundir -d 'Once all is bound, run in DIR, below the new root if there is one; a daemon runs in / otherwise' -r -f -a "(__fish_complete_directories)"
complete -c netkit -n "__fish_netkit_using_subcommand serve" -l umask -d 'The permissions that the files we make do not get, in octal' -r
complete -c netkit -n "__fish_netkit_using_subcommand serve" -l quote -d 'qotd: the quote to say, below 512 bytes; default: one of ours a day' -r
complete -c netkit -n "__fish_netkit_using_subcommand serve" -l max-line -d 'lines: the longest line that is taken, in bytes, its end not counted; default 16384' -r
complete -c netkit -n "__fish_netkit_using_subcommand serve" -l file -d 'lines: what `write: TEXT` appends to; default file.txt' -r -F
complete -c netkit -n "__fish_netkit_using_subcommand serve" -l commands -d 'lines: a file of commands instead of the built-in ones, see netkit-lines(5); SIGHUP reads it again' -r -F
complete -c netkit -n "__fish_netkit_using_subcommand serve" -l users -d 'finger: users in a TOML file, `NAME = "TEXT"` a line; read again when it changes' -r -F
complete -c netkit -n "__fish_netkit_using_subcommand serve" -l system -d 'finger: users of this system, with their .project and .plan' -r
complete -c netkit -n "__fish_netkit_using_subcommand serve" -l command -d 'finger: a program that is run with the name as its argument, without a shell; its output is the answer, see netkit-finger(5)' -r -F
complete -c netkit -n "__fish_netkit_using_subcommand serve" -l url -d 'finger: an http or https URL that is asked for with the name behind it' -r
complete -c netkit -n "__fish_netkit_using_subcommand serve" -l no-list -d 'finger: refuse to list the users of --user-entry and --users' -r
complete -c netkit -n "__fish_netkit_using_subcommand serve" -l no-answer -d 'finger: read a query, then close without an answer' -r
complete -c netkit -n "__fish_netkit_using_subcommand serve" -l forward -d 'finger: pass user@host on to that host, one server far' -r
complete -c netkit -n "__fish_netkit_using_subcommand serve" -l forward-port -d 'finger: the port of the servers that queries are passed on to; default: 79' -r
complete -c netkit -n "__fish_netkit_using_subcommand serve" -l query-timeout -d 'finger: how long a client may take to send its query, and to take its answer; default: 30s' -r
complete -c netkit -n "__fish_netkit_using_subcommand serve" -l answer-timeout -d 'finger: how long finding an answer may take; default: 10s' -r
complete -c netkit -n "__fish_netkit_using_subcommand serve" -l user-entry -d 'finger: a user, as NAME=TEXT; can be given several times' -r
complete -c netkit -n "__fish_netkit_using_subcommand serve" -l log-format -d 'How a line of the log is written' -r -f -a "text\t'for people'
json\t'an object a line'"
complete -c netkit -n "__fish_netkit_using_subcommand serve" -l log-file -d 'Log to a file instead of standard error; SIGHUP reopens it' -r -F
complete -c netkit -n "__fish_netkit_using_subcommand serve" -l syslog -d 'Log to the system\'s log, /dev/log, instead of standard error; PREFIX is our name there, by default netkit' -r
complete -c netkit -n "__fish_netkit_using_subcommand serve" -l hexdump -d 'Show both directions in hexadecimal with offsets, on standard error'
complete -c netkit -n "__fish_netkit_using_subcommand serve" -l once -d 'Serve one connection, or answer one datagram, then exit'
complete -c netkit -n "__fish_netkit_using_subcommand serve" -l daemonize -d 'Serve in the background; return once all endpoints are bound, or with the status of the failure'
complete -c netkit -n "__fish_netkit_using_subcommand serve" -l no-sandbox -d 'Do not hold the server to what it needs by Landlock, as --daemonize, --user, --group and --chroot do'
complete -c netkit -n "__fish_netkit_using_subcommand serve" -s v -l verbose -d 'Log connections; twice: log data too'
complete -c netkit -n "__fish_netkit_using_subcommand serve" -s q -l quiet -d 'Log errors only'
complete -c netkit -n "__fish_netkit_using_subcommand serve" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c netkit -n "__fish_netkit_using_subcommand connect" -l send -d 'Send TEXT before standard input; \\r \\n \\t \\0 \\\\ and \\xHH are understood' -r
complete -c netkit -n "__fish_netkit_using_subcommand connect" -l half-close-timeout -d 'After our end of file: how long to wait for the peer\'s. UDP: how long nothing may come before the run is over' -r
complete -c netkit -n "__fish_netkit_using_subcommand connect" -l idle-timeout -d 'Give up when nothing has moved in either direction for so long' -r
complete -c netkit -n "__fish_netkit_using_subcommand connect" -l timeout -d 'Give up when the whole run takes longer' -r
complete -c netkit -n "__fish_netkit_using_subcommand connect" -l record -d 'Write what is exchanged, decrypted, to a pcapng file that Wireshark opens; a file that is there is emptied' -r -F
complete -c netkit -n "__fish_netkit_using_subcommand connect" -l fail-after -d 'Give up after N failed attempts in a row, with the status of the last one' -r
complete -c netkit -n "__fish_netkit_using_subcommand connect" -l backoff -d 'The delay after a loss or a first failure, what each further failure multiplies it with, the longest, and the random time added to each' -r
complete -c netkit -n "__fish_netkit_using_subcommand connect" -l log-format -d 'How a line of the log is written' -r -f -a "text\t'for people'
json\t'an object a line'"
complete -c netkit -n "__fish_netkit_using_subcommand connect" -l log-file -d 'Log to a file instead of standard error; SIGHUP reopens it' -r -F
complete -c netkit -n "__fish_netkit_using_subcommand connect" -l syslog -d 'Log to the system\'s log, /dev/log, instead of standard error; PREFIX is our name there, by default netkit' -r
complete -c netkit -n "__fish_netkit_using_subcommand connect" -l no-history -d 'On a terminal: remember no line that is typed, and recall none'
complete -c netkit -n "__fish_netkit_using_subcommand connect" -l no-stdin -d 'Read nothing from standard input, as if it were empty'
complete -c netkit -n "__fish_netkit_using_subcommand connect" -l crlf -d 'Send CRLF for each LF read; a CRLF that is there already stays as it is'
complete -c netkit -n "__fish_netkit_using_subcommand connect" -l line -d 'UDP: make each line a datagram, its line end included, rather than each read'
complete -c netkit -n "__fish_netkit_using_subcommand connect" -l tolerate-truncation -d 'TLS: a peer that ends without close_notify, so that something may be missing, ends cleanly all the same'
complete -c netkit -n "__fish_netkit_using_subcommand connect" -l hexdump -d 'Show both directions in hexadecimal with offsets, on standard error'
complete -c netkit -n "__fish_netkit_using_subcommand connect" -l progress -d 'Show a progress bar, on standard error, wherever that is'
complete -c netkit -n "__fish_netkit_using_subcommand connect" -l no-progress -d 'Show no progress bar; without either flag there is one if a file is sent from a terminal'
complete -c netkit -n "__fish_netkit_using_subcommand connect" -l reconnect -d 'Keep the connection up: connect again when it is lost or cannot be made, after a growing delay'
complete -c netkit -n "__fish_netkit_using_subcommand connect" -s v -l verbose -d 'Log connections; twice: log data too'
complete -c netkit -n "__fish_netkit_using_subcommand connect" -s q -l quiet -d 'Log errors only'
complete -c netkit -n "__fish_netkit_using_subcommand connect" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c netkit -n "__fish_netkit_using_subcommand listen" -l send -d 'Send TEXT before standard input; \\r \\n \\t \\0 \\\\ and \\xHH are understood' -r
complete -c netkit -n "__fish_netkit_using_subcommand listen" -l half-close-timeout -d 'After our end of file: how long to wait for the peer\'s. UDP: how long nothing may come before the run is over' -r
complete -c netkit -n "__fish_netkit_using_subcommand listen" -l idle-timeout -d 'Give up when nothing has moved in either direction for so long' -r
complete -c netkit -n "__fish_netkit_using_subcommand listen" -l timeout -d 'Give up when the whole run takes longer' -r
complete -c netkit -n "__fish_netkit_using_subcommand listen" -l record -d 'Write what is exchanged, decrypted, to a pcapng file that Wireshark opens; a file that is there is emptied' -r -F
complete -c netkit -n "__fish_netkit_using_subcommand listen" -l handshake-timeout -d 'Close a connection that is not established by then: its PROXY header read, and whatever else comes first' -r
complete -c netkit -n "__fish_netkit_using_subcommand listen" -l allow -d 'Let in clients from these addresses and, where no rule is about them, no others: an address, or a block such as 10.0.0.0/8; of several rules the most specific one decides' -r
complete -c netkit -n "__fish_netkit_using_subcommand listen" -l deny -d 'Turn away clients from these addresses; a tie denies' -r
complete -c netkit -n "__fish_netkit_using_subcommand listen" -l ready-file -d 'Once all endpoints are bound, write the client strings that lead to them here, a line each, atomically. A regular file that is there gives way; anything else stays, and is an error' -r -F
complete -c netkit -n "__fish_netkit_using_subcommand listen" -l ready-fd -d 'Write the same lines to descriptor N, then close it' -r
complete -c netkit -n "__fish_netkit_using_subcommand listen" -l grace -d 'After SIGINT or SIGTERM: how long open connections may go on' -r
complete -c netkit -n "__fish_netkit_using_subcommand listen" -l log-format -d 'How a line of the log is written' -r -f -a "text\t'for people'
json\t'an object a line'"
complete -c netkit -n "__fish_netkit_using_subcommand listen" -l log-file -d 'Log to a file instead of standard error; SIGHUP reopens it' -r -F
complete -c netkit -n "__fish_netkit_using_subcommand listen" -l syslog -d 'Log to the system\'s log, /dev/log, instead of standard error; PREFIX is our name there, by default netkit' -r
complete -c netkit -n "__fish_netkit_using_subcommand listen" -s k -l keep-open -d 'Go on with the next connection when one has ended'
complete -c netkit -n "__fish_netkit_using_subcommand listen" -l no-stdin -d 'Read nothing from standard input, as if it were empty'
complete -c netkit -n "__fish_netkit_using_subcommand listen" -l crlf -d 'Send CRLF for each LF read; a CRLF that is there already stays as it is'
complete -c netkit -n "__fish_netkit_using_subcommand listen" -l line -d 'UDP: make each line a datagram, its line end included, rather than each read'
complete -c netkit -n "__fish_netkit_using_subcommand listen" -l tolerate-truncation -d 'TLS: a peer that ends without close_notify, so that something may be missing, ends cleanly all the same'
complete -c netkit -n "__fish_netkit_using_subcommand listen" -l hexdump -d 'Show both directions in hexadecimal with offsets, on standard error'
complete -c netkit -n "__fish_netkit_using_subcommand listen" -l progress -d 'Show a progress bar, on standard error, wherever that is'
complete -c netkit -n "__fish_netkit_using_subcommand listen" -l no-progress -d 'Show no progress bar; without either flag there is one if a file is sent from a terminal'
complete -c netkit -n "__fish_netkit_using_subcommand listen" -s v -l verbose -d 'Log connections; twice: log data too'
complete -c netkit -n "__fish_netkit_using_subcommand listen" -s q -l quiet -d 'Log errors only'
complete -c netkit -n "__fish_netkit_using_subcommand listen" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c netkit -n "__fish_netkit_using_subcommand relay" -l to -d 'Forward to this client endpoint; repeatable' -r
complete -c netkit -n "__fish_netkit_using_subcommand relay" -l balance -d 'Which of several targets is next: one after the other, that with the fewest connections, or the first that can be had' -r -f -a "round-robin\t''
least\t''
first\t''"
complete -c netkit -n "__fish_netkit_using_subcommand relay" -l connect-timeout -d 'Give up on a target that is not connected by then' -r
complete -c netkit -n "__fish_netkit_using_subcommand relay" -l framing -d 'Between datagrams and a stream: how they lie in it. Two bytes before each hold its length, the high one first, as in DNS over TCP; or each is a line' -r -f -a "length\t''
line\t''"
complete -c netkit -n "__fish_netkit_using_subcommand relay" -l udp-idle -d 'End the flow of a peer that sends datagrams when nothing moved on it for so long; 60s by default' -r
complete -c netkit -n "__fish_netkit_using_subcommand relay" -l max-flows -d 'Keep at most N flows at once on an endpoint, 4096 by default; a further peer takes the place of the one that was idle for the longest' -r
complete -c netkit -n "__fish_netkit_using_subcommand relay" -l record -d 'Write what clients exchange, decrypted, to a pcapng file that Wireshark opens; a file that is there is emptied' -r -F
complete -c netkit -n "__fish_netkit_using_subcommand relay" -l delay -d 'Every byte or datagram, and the end, arrives so much later' -r
complete -c netkit -n "__fish_netkit_using_subcommand relay" -l jitter -d 'Each piece is late by a random time up to this, besides; none overtakes another' -r
complete -c netkit -n "__fish_netkit_using_subcommand relay" -l rate -d 'Pass on so many bytes a second in each direction, such as 10KiB/s or 1MB/s' -r
complete -c netkit -n "__fish_netkit_using_subcommand relay" -l close-after -d 'Close both connections once exactly so many bytes have passed in one of the directions' -r
complete -c netkit -n "__fish_netkit_using_subcommand relay" -l corrupt -d 'Flip a bit in every N bytes on average' -r
complete -c netkit -n "__fish_netkit_using_subcommand relay" -l seed -d 'What --jitter and --corrupt draw is drawn by this number, and the same the next time; -v says which it was' -r
complete -c netkit -n "__fish_netkit_using_subcommand relay" -l max-connections -d 'Serve at most N connections at once; further clients wait in the backlog' -r
complete -c netkit -n "__fish_netkit_using_subcommand relay" -l max-connections-per-ip -d 'Serve at most N connections from one address at once; further ones are closed' -r
complete -c netkit -n "__fish_netkit_using_subcommand relay" -l idle-timeout -d 'Close a connection on which nothing has moved for so long' -r
complete -c netkit -n "__fish_netkit_using_subcommand relay" -l handshake-timeout -d 'Close a connection that is not established by then: its PROXY header read, and whatever else comes first' -r
complete -c netkit -n "__fish_netkit_using_subcommand relay" -l workers -d 'Serve with N threads' -r
complete -c netkit -n "__fish_netkit_using_subcommand relay" -l allow -d 'Let in clients from these addresses and, where no rule is about them, no others: an address, or a block such as 10.0.0.0/8; of several rules the most specific one decides' -r
complete -c netkit -n "__fish_netkit_using_subcommand relay" -l deny -d 'Turn away clients from these addresses; a tie denies' -r
complete -c netkit -n "__fish_netkit_using_subcommand relay" -l metrics -d 'Serve /metrics for Prometheus, /healthz and /readyz there, over HTTP' -r
complete -c netkit -n "__fish_netkit_using_subcommand relay" -l ready-file -d 'Once all endpoints are bound, write the client strings that lead to them here, a line each, atomically. A regular file that is there gives way; anything else stays, and is an error' -r -F
complete -c netkit -n "__fish_netkit_using_subcommand relay" -l ready-fd -d 'Write the same lines to descriptor N, then close it' -r
complete -c netkit -n "__fish_netkit_using_subcommand relay" -l grace -d 'After SIGINT or SIGTERM: how long open connections may go on' -r
complete -c netkit -n "__fish_netkit_using_subcommand relay" -l pidfile -d 'Write the number of the process to PATH and keep it locked; removed at the end' -r -F
complete -c netkit -n "__fish_netkit_using_subcommand relay" -l user -d 'Once all is bound, become USER, a name or a number, without supplementary groups and for good' -r -f -a "(__fish_complete_users)"
complete -c netkit -n "__fish_netkit_using_subcommand relay" -l group -d 'Become GROUP instead of the user\'s primary group' -r
complete -c netkit -n "__fish_netkit_using_subcommand relay" -l chroot -d 'Once all is bound, make DIR the root directory' -r -f -a "(__fish_complete_directories)"
complete -c netkit -n "__fish_netkit_using_subcommand relay" -l rundir -d 'Once all is bound, run in DIR, below the new root if there is one; a daemon runs in / otherwise' -r -f -a "(__fish_complete_directories)"
complete -c netkit -n "__fish_netkit_using_subcommand relay" -l umask -d 'The permissions that the files we make do not get, in octal' -r
complete -c netkit -n "__fish_netkit_using_subcommand relay" -l log-format -d 'How a line of the log is written' -r -f -a "text\t'for people'
json\t'an object a line'"
complete -c netkit -n "__fish_netkit_using_subcommand relay" -l log-file -d 'Log to a file instead of standard error; SIGHUP reopens it' -r -F
complete -c netkit -n "__fish_netkit_using_subcommand relay" -l syslog -d 'Log to the system\'s log, /dev/log, instead of standard error; PREFIX is our name there, by default netkit' -r
complete -c netkit -n "__fish_netkit_using_subcommand relay" -l hexdump -d 'Show both directions in hexadecimal with offsets, on standard error'
complete -c netkit -n "__fish_netkit_using_subcommand relay" -l once -d 'Serve one connection, or answer one datagram, then exit'
complete -c netkit -n "__fish_netkit_using_subcommand relay" -l daemonize -d 'Serve in the background; return once all endpoints are bound, or with the status of the failure'
complete -c netkit -n "__fish_netkit_using_subcommand relay" -l no-sandbox -d 'Do not hold the server to what it needs by Landlock, as --daemonize, --user, --group and --chroot do'
complete -c netkit -n "__fish_netkit_using_subcommand relay" -s v -l verbose -d 'Log connections; twice: log data too'
complete -c netkit -n "__fish_netkit_using_subcommand relay" -s q -l quiet -d 'Log errors only'
complete -c netkit -n "__fish_netkit_using_subcommand relay" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c netkit -n "__fish_netkit_using_subcommand cert; and not __fish_seen_subcommand_from self-signed ca issue show trust help" -l log-format -d 'How a line of the log is written' -r -f -a "text\t'for people'
json\t'an object a line'"
complete -c netkit -n "__fish_netkit_using_subcommand cert; and not __fish_seen_subcommand_from self-signed ca issue show trust help" -l log-file -d 'Log to a file instead of standard error; SIGHUP reopens it' -r -F
complete -c netkit -n "__fish_netkit_using_subcommand cert; and not __fish_seen_subcommand_from self-signed ca issue show trust help" -l syslog -d 'Log to the system\'s log, /dev/log, instead of standard error; PREFIX is our name there, by default netkit' -r
complete -c netkit -n "__fish_netkit_using_subcommand cert; and not __fish_seen_subcommand_from self-signed ca issue show trust help" -s v -l verbose -d 'Log connections; twice: log data too'
complete -c netkit -n "__fish_netkit_using_subcommand cert; and not __fish_seen_subcommand_from self-signed ca issue show trust help" -s q -l quiet -d 'Log errors only'
complete -c netkit -n "__fish_netkit_using_subcommand cert; and not __fish_seen_subcommand_from self-signed ca issue show trust help" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c netkit -n "__fish_netkit_using_subcommand cert; and not __fish_seen_subcommand_from self-signed ca issue show trust help" -f -a "self-signed" -d 'Make a certificate that vouches for itself, and its key'
complete -c netkit -n "__fish_netkit_using_subcommand cert; and not __fish_seen_subcommand_from self-signed ca issue show trust help" -f -a "ca" -d 'Make an authority, which can issue certificates'
complete -c netkit -n "__fish_netkit_using_subcommand cert; and not __fish_seen_subcommand_from self-signed ca issue show trust help" -f -a "issue" -d 'Issue a certificate of an authority'
complete -c netkit -n "__fish_netkit_using_subcommand cert; and not __fish_seen_subcommand_from self-signed ca issue show trust help" -f -a "show" -d 'Show the certificates of a file, or those of a server and whether it is to be believed'
complete -c netkit -n "__fish_netkit_using_subcommand cert; and not __fish_seen_subcommand_from self-signed ca issue show trust help" -f -a "trust" -d 'Print where netkit\'s own authority is, and how to hand it to curl; it is made where there is none yet'
complete -c netkit -n "__fish_netkit_using_subcommand cert; and not __fish_seen_subcommand_from self-signed ca issue show trust help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c netkit -n "__fish_netkit_using_subcommand cert; and __fish_seen_subcommand_from self-signed" -l key-type -d 'The kind of key' -r -f -a "ecdsa-p256\t''
ecdsa-p384\t''
ed25519\t''
rsa-2048\t''
rsa-3072\t''
rsa-4096\t''"
complete -c netkit -n "__fish_netkit_using_subcommand cert; and __fish_seen_subcommand_from self-signed" -l days -d 'Valid for so many days from now, or from --not-before where that is later [default: 365; an authority: 3650]' -r
complete -c netkit -n "__fish_netkit_using_subcommand cert; and __fish_seen_subcommand_from self-signed" -l not-before -d 'Valid from this moment on, such as 2027-01-31 or 2027-01-31T12:00:00Z' -r
complete -c netkit -n "__fish_netkit_using_subcommand cert; and __fish_seen_subcommand_from self-signed" -l not-after -d 'Valid until this moment, which may be over already: for tests' -r
complete -c netkit -n "__fish_netkit_using_subcommand cert; and __fish_seen_subcommand_from self-signed" -l out -d 'Write cert.pem and key.pem into this directory, which is made where it is missing' -r -f -a "(__fish_complete_directories)"
complete -c netkit -n "__fish_netkit_using_subcommand cert; and __fish_seen_subcommand_from self-signed" -l passphrase-file -d 'Encrypt the key with the passphrase in the first line of this file' -r -F
complete -c netkit -n "__fish_netkit_using_subcommand cert; and __fish_seen_subcommand_from self-signed" -l log-format -d 'How a line of the log is written' -r -f -a "text\t'for people'
json\t'an object a line'"
complete -c netkit -n "__fish_netkit_using_subcommand cert; and __fish_seen_subcommand_from self-signed" -l log-file -d 'Log to a file instead of standard error; SIGHUP reopens it' -r -F
complete -c netkit -n "__fish_netkit_using_subcommand cert; and __fish_seen_subcommand_from self-signed" -l syslog -d 'Log to the system\'s log, /dev/log, instead of standard error; PREFIX is our name there, by default netkit' -r
complete -c netkit -n "__fish_netkit_using_subcommand cert; and __fish_seen_subcommand_from self-signed" -l client -d 'For a client rather than a server'
complete -c netkit -n "__fish_netkit_using_subcommand cert; and __fish_seen_subcommand_from self-signed" -l combined -d 'Write one file instead, combined.pem, with the key and the certificate'
complete -c netkit -n "__fish_netkit_using_subcommand cert; and __fish_seen_subcommand_from self-signed" -l force -d 'Overwrite files that are there already'
complete -c netkit -n "__fish_netkit_using_subcommand cert; and __fish_seen_subcommand_from self-signed" -s v -l verbose -d 'Log connections; twice: log data too'
complete -c netkit -n "__fish_netkit_using_subcommand cert; and __fish_seen_subcommand_from self-signed" -s q -l quiet -d 'Log errors only'
complete -c netkit -n "__fish_netkit_using_subcommand cert; and __fish_seen_subcommand_from self-signed" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c netkit -n "__fish_netkit_using_subcommand cert; and __fish_seen_subcommand_from ca" -l name -d 'What it is called' -r
complete -c netkit -n "__fish_netkit_using_subcommand cert; and __fish_seen_subcommand_from ca" -l permit -d 'Vouch for this DNS name and those below it, or for this address, and for nothing else; repeatable' -r
complete -c netkit -n "__fish_netkit_using_subcommand cert; and __fish_seen_subcommand_from ca" -l key-type -d 'The kind of key' -r -f -a "ecdsa-p256\t''
ecdsa-p384\t''
ed25519\t''
rsa-2048\t''
rsa-3072\t''
rsa-4096\t''"
complete -c netkit -n "__fish_netkit_using_subcommand cert; and __fish_seen_subcommand_from ca" -l days -d 'Valid for so many days from now, or from --not-before where that is later [default: 365; an authority: 3650]' -r
complete -c netkit -n "__fish_netkit_using_subcommand cert; and __fish_seen_subcommand_from ca" -l not-before -d 'Valid from this moment on, such as 2027-01-31 or 2027-01-31T12:00:00Z' -r
complete -c netkit -n "__fish_netkit_using_subcommand cert; and __fish_seen_subcommand_from ca" -l not-after -d 'Valid until this moment, which may be over already: for tests' -r
complete -c netkit -n "__fish_netkit_using_subcommand cert; and __fish_seen_subcommand_from ca" -l out -d 'Write cert.pem and key.pem into this directory, which is made where it is missing' -r -f -a "(__fish_complete_directories)"
complete -c netkit -n "__fish_netkit_using_subcommand cert; and __fish_seen_subcommand_from ca" -l passphrase-file -d 'Encrypt the key with the passphrase in the first line of this file' -r -F
complete -c netkit -n "__fish_netkit_using_subcommand cert; and __fish_seen_subcommand_from ca" -l log-format -d 'How a line of the log is written' -r -f -a "text\t'for people'
json\t'an object a line'"
complete -c netkit -n "__fish_netkit_using_subcommand cert; and __fish_seen_subcommand_from ca" -l log-file -d 'Log to a file instead of standard error; SIGHUP reopens it' -r -F
complete -c netkit -n "__fish_netkit_using_subcommand cert; and __fish_seen_subcommand_from ca" -l syslog -d 'Log to the system\'s log, /dev/log, instead of standard error; PREFIX is our name there, by default netkit' -r
complete -c netkit -n "__fish_netkit_using_subcommand cert; and __fish_seen_subcommand_from ca" -l combined -d 'Write one file instead, combined.pem, with the key and the certificate'
complete -c netkit -n "__fish_netkit_using_subcommand cert; and __fish_seen_subcommand_from ca" -l force -d 'Overwrite files that are there already'
complete -c netkit -n "__fish_netkit_using_subcommand cert; and __fish_seen_subcommand_from ca" -s v -l verbose -d 'Log connections; twice: log data too'
complete -c netkit -n "__fish_netkit_using_subcommand cert; and __fish_seen_subcommand_from ca" -s q -l quiet -d 'Log errors only'
complete -c netkit -n "__fish_netkit_using_subcommand cert; and __fish_seen_subcommand_from ca" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c netkit -n "__fish_netkit_using_subcommand cert; and __fish_seen_subcommand_from issue" -l ca -d 'The directory of the authority, with its cert.pem and key.pem' -r -f -a "(__fish_complete_directories)"
complete -c netkit -n "__fish_netkit_using_subcommand cert; and __fish_seen_subcommand_from issue" -l ca-passphrase-file -d 'The file whose first line is the passphrase of the authority\'s key' -r -F
complete -c netkit -n "__fish_netkit_using_subcommand cert; and __fish_seen_subcommand_from issue" -l csr -d 'Issue it for this certificate request; names on the command line take the place of its own' -r -F
complete -c netkit -n "__fish_netkit_using_subcommand cert; and __fish_seen_subcommand_from issue" -l key-type -d 'The kind of key' -r -f -a "ecdsa-p256\t''
ecdsa-p384\t''
ed25519\t''
rsa-2048\t''
rsa-3072\t''
rsa-4096\t''"
complete -c netkit -n "__fish_netkit_using_subcommand cert; and __fish_seen_subcommand_from issue" -l days -d 'Valid for so many days from now, or from --not-before where that is later [default: 365; an authority: 3650]' -r
complete -c netkit -n "__fish_netkit_using_subcommand cert; and __fish_seen_subcommand_from issue" -l not-before -d 'Valid from this moment on, such as 2027-01-31 or 2027-01-31T12:00:00Z' -r
complete -c netkit -n "__fish_netkit_using_subcommand cert; and __fish_seen_subcommand_from issue" -l not-after -d 'Valid until this moment, which may be over already: for tests' -r
complete -c netkit -n "__fish_netkit_using_subcommand cert; and __fish_seen_subcommand_from issue" -l out -d 'Write cert.pem and key.pem into this directory, which is made where it is missing' -r -f -a "(__fish_complete_directories)"
complete -c netkit -n "__fish_netkit_using_subcommand cert; and __fish_seen_subcommand_from issue" -l passphrase-file -d 'Encrypt the key with the passphrase in the first line of this file' -r -F
complete -c netkit -n "__fish_netkit_using_subcommand cert; and __fish_seen_subcommand_from issue" -l log-format -d 'How a line of the log is written' -r -f -a "text\t'for people'
json\t'an object a line'"
complete -c netkit -n "__fish_netkit_using_subcommand cert; and __fish_seen_subcommand_from issue" -l log-file -d 'Log to a file instead of standard error; SIGHUP reopens it' -r -F
complete -c netkit -n "__fish_netkit_using_subcommand cert; and __fish_seen_subcommand_from issue" -l syslog -d 'Log to the system\'s log, /dev/log, instead of standard error; PREFIX is our name there, by default netkit' -r
complete -c netkit -n "__fish_netkit_using_subcommand cert; and __fish_seen_subcommand_from issue" -l client -d 'For a client rather than a server'
complete -c netkit -n "__fish_netkit_using_subcommand cert; and __fish_seen_subcommand_from issue" -l combined -d 'Write one file instead, combined.pem, with the key and the certificate'
complete -c netkit -n "__fish_netkit_using_subcommand cert; and __fish_seen_subcommand_from issue" -l force -d 'Overwrite files that are there already'
complete -c netkit -n "__fish_netkit_using_subcommand cert; and __fish_seen_subcommand_from issue" -s v -l verbose -d 'Log connections; twice: log data too'
complete -c netkit -n "__fish_netkit_using_subcommand cert; and __fish_seen_subcommand_from issue" -s q -l quiet -d 'Log errors only'
complete -c netkit -n "__fish_netkit_using_subcommand cert; and __fish_seen_subcommand_from issue" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c netkit -n "__fish_netkit_using_subcommand cert; and __fish_seen_subcommand_from show" -l log-format -d 'How a line of the log is written' -r -f -a "text\t'for people'
json\t'an object a line'"
complete -c netkit -n "__fish_netkit_using_subcommand cert; and __fish_seen_subcommand_from show" -l log-file -d 'Log to a file instead of standard error; SIGHUP reopens it' -r -F
complete -c netkit -n "__fish_netkit_using_subcommand cert; and __fish_seen_subcommand_from show" -l syslog -d 'Log to the system\'s log, /dev/log, instead of standard error; PREFIX is our name there, by default netkit' -r
complete -c netkit -n "__fish_netkit_using_subcommand cert; and __fish_seen_subcommand_from show" -l json -d 'Print the same as JSON'
complete -c netkit -n "__fish_netkit_using_subcommand cert; and __fish_seen_subcommand_from show" -l pem -d 'Print the certificates themselves, as PEM'
complete -c netkit -n "__fish_netkit_using_subcommand cert; and __fish_seen_subcommand_from show" -s v -l verbose -d 'Log connections; twice: log data too'
complete -c netkit -n "__fish_netkit_using_subcommand cert; and __fish_seen_subcommand_from show" -s q -l quiet -d 'Log errors only'
complete -c netkit -n "__fish_netkit_using_subcommand cert; and __fish_seen_subcommand_from show" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c netkit -n "__fish_netkit_using_subcommand cert; and __fish_seen_subcommand_from trust" -l log-format -d 'How a line of the log is written' -r -f -a "text\t'for people'
json\t'an object a line'"
complete -c netkit -n "__fish_netkit_using_subcommand cert; and __fish_seen_subcommand_from trust" -l log-file -d 'Log to a file instead of standard error; SIGHUP reopens it' -r -F
complete -c netkit -n "__fish_netkit_using_subcommand cert; and __fish_seen_subcommand_from trust" -l syslog -d 'Log to the system\'s log, /dev/log, instead of standard error; PREFIX is our name there, by default netkit' -r
complete -c netkit -n "__fish_netkit_using_subcommand cert; and __fish_seen_subcommand_from trust" -s v -l verbose -d 'Log connections; twice: log data too'
complete -c netkit -n "__fish_netkit_using_subcommand cert; and __fish_seen_subcommand_from trust" -s q -l quiet -d 'Log errors only'
complete -c netkit -n "__fish_netkit_using_subcommand cert; and __fish_seen_subcommand_from trust" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c netkit -n "__fish_netkit_using_subcommand cert; and __fish_seen_subcommand_from help" -f -a "self-signed" -d 'Make a certificate that vouches for itself, and its key'
complete -c netkit -n "__fish_netkit_using_subcommand cert; and __fish_seen_subcommand_from help" -f -a "ca" -d 'Make an authority, which can issue certificates'
complete -c netkit -n "__fish_netkit_using_subcommand cert; and __fish_seen_subcommand_from help" -f -a "issue" -d 'Issue a certificate of an authority'
complete -c netkit -n "__fish_netkit_using_subcommand cert; and __fish_seen_subcommand_from help" -f -a "show" -d 'Show the certificates of a file, or those of a server and whether it is to be believed'
complete -c netkit -n "__fish_netkit_using_subcommand cert; and __fish_seen_subcommand_from help" -f -a "trust" -d 'Print where netkit\'s own authority is, and how to hand it to curl; it is made where there is none yet'
complete -c netkit -n "__fish_netkit_using_subcommand cert; and __fish_seen_subcommand_from help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c netkit -n "__fish_netkit_using_subcommand finger" -s p -l port -d 'The port of hosts that are named without one' -r
complete -c netkit -n "__fish_netkit_using_subcommand finger" -s t -l timeout -d 'Give up on a server that has not answered in full by then' -r
complete -c netkit -n "__fish_netkit_using_subcommand finger" -s e -l endpoint -d 'Ask here, whatever host is named: what is asked goes there as it stands' -r
complete -c netkit -n "__fish_netkit_using_subcommand finger" -l log-format -d 'How a line of the log is written' -r -f -a "text\t'for people'
json\t'an object a line'"
complete -c netkit -n "__fish_netkit_using_subcommand finger" -l log-file -d 'Log to a file instead of standard error; SIGHUP reopens it' -r -F
complete -c netkit -n "__fish_netkit_using_subcommand finger" -l syslog -d 'Log to the system\'s log, /dev/log, instead of standard error; PREFIX is our name there, by default netkit' -r
complete -c netkit -n "__fish_netkit_using_subcommand finger" -s l -l long -d 'Ask for more than usual (RFC 1288: /W)'
complete -c netkit -n "__fish_netkit_using_subcommand finger" -s v -l verbose -d 'Log connections; twice: log data too'
complete -c netkit -n "__fish_netkit_using_subcommand finger" -s q -l quiet -d 'Log errors only'
complete -c netkit -n "__fish_netkit_using_subcommand finger" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c netkit -n "__fish_netkit_using_subcommand run" -l with -d 'A server to start beside a command: NAME=\'serve PROTOCOL ENDPOINT...\' or NAME=\'relay ...\', with any of their flags' -r
complete -c netkit -n "__fish_netkit_using_subcommand run" -l filter -d 'Play only scripts whose path matches this regex; a part of a name is one' -r
complete -c netkit -n "__fish_netkit_using_subcommand run" -s j -l jobs -d 'How many scripts are played at once' -r
complete -c netkit -n "__fish_netkit_using_subcommand run" -l junit -d 'Write a report as JUnit\'s XML as well; the file appears whole' -r -F
complete -c netkit -n "__fish_netkit_using_subcommand run" -l log-format -d 'How a line of the log is written' -r -f -a "text\t'for people'
json\t'an object a line'"
complete -c netkit -n "__fish_netkit_using_subcommand run" -l log-file -d 'Log to a file instead of standard error; SIGHUP reopens it' -r -F
complete -c netkit -n "__fish_netkit_using_subcommand run" -l syslog -d 'Log to the system\'s log, /dev/log, instead of standard error; PREFIX is our name there, by default netkit' -r
complete -c netkit -n "__fish_netkit_using_subcommand run" -l tap -d 'Report as TAP, version 14'
complete -c netkit -n "__fish_netkit_using_subcommand run" -l json -d 'Report as JSON, one object when all have been played'
complete -c netkit -n "__fish_netkit_using_subcommand run" -l keep -d 'Keep the directory of a script that failed; the report says where it is'
complete -c netkit -n "__fish_netkit_using_subcommand run" -s v -l verbose -d 'Log connections; twice: log data too'
complete -c netkit -n "__fish_netkit_using_subcommand run" -s q -l quiet -d 'Log errors only'
complete -c netkit -n "__fish_netkit_using_subcommand run" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c netkit -n "__fish_netkit_using_subcommand wait" -s t -l timeout -d 'Give up after so long, with status 4' -r
complete -c netkit -n "__fish_netkit_using_subcommand wait" -l attempt-timeout -d 'The limit on one attempt; one that is not answered by then is followed by the next' -r
complete -c netkit -n "__fish_netkit_using_subcommand wait" -s i -l interval -d 'The longest wait between two attempts' -r
complete -c netkit -n "__fish_netkit_using_subcommand wait" -l stable -d 'Wait until every attempt has succeeded for so long' -r
complete -c netkit -n "__fish_netkit_using_subcommand wait" -l send -d 'Send TEXT on each connection; \\r \\n \\t \\0 \\\\ and \\xHH are understood' -r
complete -c netkit -n "__fish_netkit_using_subcommand wait" -l expect -d 'What comes has to hold TEXT, escapes as with --send' -r
complete -c netkit -n "__fish_netkit_using_subcommand wait" -l log-format -d 'How a line of the log is written' -r -f -a "text\t'for people'
json\t'an object a line'"
complete -c netkit -n "__fish_netkit_using_subcommand wait" -l log-file -d 'Log to a file instead of standard error; SIGHUP reopens it' -r -F
complete -c netkit -n "__fish_netkit_using_subcommand wait" -l syslog -d 'Log to the system\'s log, /dev/log, instead of standard error; PREFIX is our name there, by default netkit' -r
complete -c netkit -n "__fish_netkit_using_subcommand wait" -l gone -d 'Wait until nobody accepts any more'
complete -c netkit -n "__fish_netkit_using_subcommand wait" -s v -l verbose -d 'Log connections; twice: log data too'
complete -c netkit -n "__fish_netkit_using_subcommand wait" -s q -l quiet -d 'Log errors only'
complete -c netkit -n "__fish_netkit_using_subcommand wait" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c netkit -n "__fish_netkit_using_subcommand explain" -l log-format -d 'How a line of the log is written' -r -f -a "text\t'for people'
json\t'an object a line'"
complete -c netkit -n "__fish_netkit_using_subcommand explain" -l log-file -d 'Log to a file instead of standard error; SIGHUP reopens it' -r -F
complete -c netkit -n "__fish_netkit_using_subcommand explain" -l syslog -d 'Log to the system\'s log, /dev/log, instead of standard error; PREFIX is our name there, by default netkit' -r
complete -c netkit -n "__fish_netkit_using_subcommand explain" -l json -d 'Print the same as JSON'
complete -c netkit -n "__fish_netkit_using_subcommand explain" -s v -l verbose -d 'Log connections; twice: log data too'
complete -c netkit -n "__fish_netkit_using_subcommand explain" -s q -l quiet -d 'Log errors only'
complete -c netkit -n "__fish_netkit_using_subcommand explain" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c netkit -n "__fish_netkit_using_subcommand translate" -l log-format -d 'How a line of the log is written' -r -f -a "text\t'for people'
json\t'an object a line'"
complete -c netkit -n "__fish_netkit_using_subcommand translate" -l log-file -d 'Log to a file instead of standard error; SIGHUP reopens it' -r -F
complete -c netkit -n "__fish_netkit_using_subcommand translate" -l syslog -d 'Log to the system\'s log, /dev/log, instead of standard error; PREFIX is our name there, by default netkit' -r
complete -c netkit -n "__fish_netkit_using_subcommand translate" -s v -l verbose -d 'Log connections; twice: log data too'
complete -c netkit -n "__fish_netkit_using_subcommand translate" -s q -l quiet -d 'Log errors only'
complete -c netkit -n "__fish_netkit_using_subcommand translate" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c netkit -n "__fish_netkit_using_subcommand completions" -l log-format -d 'How a line of the log is written' -r -f -a "text\t'for people'
json\t'an object a line'"
complete -c netkit -n "__fish_netkit_using_subcommand completions" -l log-file -d 'Log to a file instead of standard error; SIGHUP reopens it' -r -F
complete -c netkit -n "__fish_netkit_using_subcommand completions" -l syslog -d 'Log to the system\'s log, /dev/log, instead of standard error; PREFIX is our name there, by default netkit' -r
complete -c netkit -n "__fish_netkit_using_subcommand completions" -s v -l verbose -d 'Log connections; twice: log data too'
complete -c netkit -n "__fish_netkit_using_subcommand completions" -s q -l quiet -d 'Log errors only'
complete -c netkit -n "__fish_netkit_using_subcommand completions" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c netkit -n "__fish_netkit_using_subcommand manual" -l log-format -d 'How a line of the log is written' -r -f -a "text\t'for people'
json\t'an object a line'"
complete -c netkit -n "__fish_netkit_using_subcommand manual" -l log-file -d 'Log to a file instead of standard error; SIGHUP reopens it' -r -F
complete -c netkit -n "__fish_netkit_using_subcommand manual" -l syslog -d 'Log to the system\'s log, /dev/log, instead of standard error; PREFIX is our name there, by default netkit' -r
complete -c netkit -n "__fish_netkit_using_subcommand manual" -s v -l verbose -d 'Log connections; twice: log data too'
complete -c netkit -n "__fish_netkit_using_subcommand manual" -s q -l quiet -d 'Log errors only'
complete -c netkit -n "__fish_netkit_using_subcommand manual" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c netkit -n "__fish_netkit_using_subcommand help; and not __fish_seen_subcommand_from serve connect listen relay cert finger run wait explain translate completions manual help" -f -a "serve" -d 'Run a built-in protocol on one or more server endpoints'
complete -c netkit -n "__fish_netkit_using_subcommand help; and not __fish_seen_subcommand_from serve connect listen relay cert finger run wait explain translate completions manual help" -f -a "connect" -d 'Wire a client endpoint to stdin/stdout'
complete -c netkit -n "__fish_netkit_using_subcommand help; and not __fish_seen_subcommand_from serve connect listen relay cert finger run wait explain translate completions manual help" -f -a "listen" -d 'Accept on a server endpoint and wire it to stdin/stdout'
complete -c netkit -n "__fish_netkit_using_subcommand help; and not __fish_seen_subcommand_from serve connect listen relay cert finger run wait explain translate completions manual help" -f -a "relay" -d 'Forward every accepted connection to a client endpoint'
complete -c netkit -n "__fish_netkit_using_subcommand help; and not __fish_seen_subcommand_from serve connect listen relay cert finger run wait explain translate completions manual help" -f -a "cert" -d 'Make certificates and keys, and look at them'
complete -c netkit -n "__fish_netkit_using_subcommand help; and not __fish_seen_subcommand_from serve connect listen relay cert finger run wait explain translate completions manual help" -f -a "finger" -d 'Query a finger server'
complete -c netkit -n "__fish_netkit_using_subcommand help; and not __fish_seen_subcommand_from serve connect listen relay cert finger run wait explain translate completions manual help" -f -a "run" -d 'Play scripts that test servers and clients, or run a command beside servers'
complete -c netkit -n "__fish_netkit_using_subcommand help; and not __fish_seen_subcommand_from serve connect listen relay cert finger run wait explain translate completions manual help" -f -a "wait" -d 'Return once every endpoint accepts a connection, and then run a command'
complete -c netkit -n "__fish_netkit_using_subcommand help; and not __fish_seen_subcommand_from serve connect listen relay cert finger run wait explain translate completions manual help" -f -a "explain" -d 'Show how an endpoint string is read, as client and as server'
complete -c netkit -n "__fish_netkit_using_subcommand help; and not __fish_seen_subcommand_from serve connect listen relay cert finger run wait explain translate completions manual help" -f -a "translate" -d 'Print the netkit line that does what a line of nc, ncat, socat, openssl or stunnel does'
complete -c netkit -n "__fish_netkit_using_subcommand help; and not __fish_seen_subcommand_from serve connect listen relay cert finger run wait explain translate completions manual help" -f -a "completions" -d 'Print the completion script for a shell'
complete -c netkit -n "__fish_netkit_using_subcommand help; and not __fish_seen_subcommand_from serve connect listen relay cert finger run wait explain translate completions manual help" -f -a "manual" -d 'Write the manual pages into a directory'
complete -c netkit -n "__fish_netkit_using_subcommand help; and not __fish_seen_subcommand_from serve connect listen relay cert finger run wait explain translate completions manual help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c netkit -n "__fish_netkit_using_subcommand help; and __fish_seen_subcommand_from cert" -f -a "self-signed" -d 'Make a certificate that vouches for itself, and its key'
complete -c netkit -n "__fish_netkit_using_subcommand help; and __fish_seen_subcommand_from cert" -f -a "ca" -d 'Make an authority, which can issue certificates'
complete -c netkit -n "__fish_netkit_using_subcommand help; and __fish_seen_subcommand_from cert" -f -a "issue" -d 'Issue a certificate of an authority'
complete -c netkit -n "__fish_netkit_using_subcommand help; and __fish_seen_subcommand_from cert" -f -a "show" -d 'Show the certificates of a file, or those of a server and whether it is to be believed'
complete -c netkit -n "__fish_netkit_using_subcommand help; and __fish_seen_subcommand_from cert" -f -a "trust" -d 'Print where netkit\'s own authority is, and how to hand it to curl; it is made where there is none yet'
