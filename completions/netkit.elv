
use builtin;
use str;

set edit:completion:arg-completer[netkit] = {|@words|
    fn spaces {|n|
        builtin:repeat $n ' ' | str:join ''
    }
    fn cand {|text desc|
        edit:complex-candidate $text &display=$text' '(spaces (- 14 (wcswidth $text)))$desc
    }
    var command = 'netkit'
    for word $words[1..-1] {
        if (str:has-prefix $word '-') {
            break
        }
        set command = $command';'$word
    }
    var completions = [
        &'netkit'= {
            cand --log-format 'How a line of the log is written'
            cand --log-file 'Log to a file instead of standard error; SIGHUP reopens it'
            cand --syslog 'Log to the system''s log, /dev/log, instead of standard error; PREFIX is our name there, by default netkit'
            cand -v 'Log connections; twice: log data too'
            cand --verbose 'Log connections; twice: log data too'
            cand -q 'Log errors only'
            cand --quiet 'Log errors only'
            cand -h 'Print help (see more with ''--help'')'
            cand --help 'Print help (see more with ''--help'')'
            cand -V 'Print version'
            cand --version 'Print version'
            cand serve 'Run a built-in protocol on one or more server endpoints'
            cand connect 'Wire a client endpoint to stdin/stdout'
            cand listen 'Accept on a server endpoint and wire it to stdin/stdout'
            cand relay 'Forward every accepted connection to a client endpoint'
            cand cert 'Make certificates and keys, and look at them'
            cand finger 'Query a finger server'
            cand run 'Play scripts that test servers and clients, or run a command beside servers'
            cand wait 'Return once every endpoint accepts a connection, and then run a command'
            cand explain 'Show how an endpoint string is read, as client and as server'
            cand translate 'Print the netkit line that does what a line of nc, ncat, socat, openssl or stunnel does'
            cand completions 'Print the completion script for a shell'
            cand manual 'Write the manual pages into a directory'
            cand help 'Print this message or the help of the given subcommand(s)'
        }
        &'netkit;serve'= {
            cand --max-connections 'Serve at most N connections at once; further clients wait in the backlog'
            cand --max-connections-per-ip 'Serve at most N connections from one address at once; further ones are closed'
            cand --idle-timeout 'Close a connection on which nothing has moved for so long'
            cand --handshake-timeout 'Close a connection that is not established by then: its PROXY header read, and whatever else comes first'
            cand --workers 'Serve with N threads'
            cand --allow 'Let in clients from these addresses and, where no rule is about them, no others: an address, or a block such as 10.0.0.0/8; of several rules the most specific one decides'
            cand --deny 'Turn away clients from these addresses; a tie denies'
            cand --metrics 'Serve /metrics for Prometheus, /healthz and /readyz there, over HTTP'
            cand --ready-file 'Once all endpoints are bound, write the client strings that lead to them here, a line each, atomically. A regular file that is there gives way; anything else stays, and is an error'
            cand --ready-fd 'Write the same lines to descriptor N, then close it'
            cand --grace 'After SIGINT or SIGTERM: how long open connections may go on'
            cand --pidfile 'Write the number of the process to PATH and keep it locked; removed at the end'
            cand --user 'Once all is bound, become USER, a name or a number, without supplementary groups and for good'
            cand --group 'Become GROUP instead of the user''s primary group'
            cand --chroot 'Once all is bound, make DIR the root directory'
            cand --rundir 'Once all is bound, run in DIR, below the new root if there is one; a daemon runs in / otherwise'
            cand --umask 'The permissions that the files we make do not get, in octal'
            cand --quote 'qotd: the quote to say, below 512 bytes; default: one of ours a day'
            cand --max-line 'lines: the longest line that is taken, in bytes, its end not counted; default 16384'
            cand --file 'lines: what `write: TEXT` appends to; default file.txt'
            cand --commands 'lines: a file of commands instead of the built-in ones, see netkit-lines(5); SIGHUP reads it again'
            cand --users 'finger: users in a TOML file, `NAME = "TEXT"` a line; read again when it changes'
            cand --system 'finger: users of this system, with their .project and .plan'
            cand --command 'finger: a program that is run with the name as its argument, without a shell; its output is the answer, see netkit-finger(5)'
            cand --url 'finger: an http or https URL that is asked for with the name behind it'
            cand --no-list 'finger: refuse to list the users of --user-entry and --users'
            cand --no-answer 'finger: read a query, then close without an answer'
            cand --forward 'finger: pass user@host on to that host, one server far'
            cand --forward-port 'finger: the port of the servers that queries are passed on to; default: 79'
            cand --query-timeout 'finger: how long a client may take to send its query, and to take its answer; default: 30s'
            cand --answer-timeout 'finger: how long finding an answer may take; default: 10s'
            cand --user-entry 'finger: a user, as NAME=TEXT; can be given several times'
            cand --log-format 'How a line of the log is written'
            cand --log-file 'Log to a file instead of standard error; SIGHUP reopens it'
            cand --syslog 'Log to the system''s log, /dev/log, instead of standard error; PREFIX is our name there, by default netkit'
            cand --hexdump 'Show both directions in hexadecimal with offsets, on standard error'
            cand --once 'Serve one connection, or answer one datagram, then exit'
            cand --daemonize 'Serve in the background; return once all endpoints are bound, or with the status of the failure'
            cand --no-sandbox 'Do not hold the server to what it needs by Landlock, as --daemonize, --user, --group and --chroot do'
            cand -v 'Log connections; twice: log data too'
            cand --verbose 'Log connections; twice: log data too'
            cand -q 'Log errors only'
            cand --quiet 'Log errors only'
            cand -h 'Print help (see more with ''--help'')'
            cand --help 'Print help (see more with ''--help'')'
        }
        &'netkit;connect'= {
            cand --send 'Send TEXT before standard input; \r \n \t \0 \\ and \xHH are understood'
            cand --half-close-timeout 'After our end of file: how long to wait for the peer''s. UDP: how long nothing may come before the run is over'
            cand --idle-timeout 'Give up when nothing has moved in either direction for so long'
            cand --timeout 'Give up when the whole run takes longer'
            cand --record 'Write what is exchanged, decrypted, to a pcapng file that Wireshark opens; a file that is there is emptied'
            cand --fail-after 'Give up after N failed attempts in a row, with the status of the last one'
            cand --backoff 'The delay after a loss or a first failure, what each further failure multiplies it with, the longest, and the random time added to each'
            cand --log-format 'How a line of the log is written'
            cand --log-file 'Log to a file instead of standard error; SIGHUP reopens it'
            cand --syslog 'Log to the system''s log, /dev/log, instead of standard error; PREFIX is our name there, by default netkit'
            cand --no-history 'On a terminal: remember no line that is typed, and recall none'
            cand --no-stdin 'Read nothing from standard input, as if it were empty'
            cand --crlf 'Send CRLF for each LF read; a CRLF that is there already stays as it is'
            cand --line 'UDP: make each line a datagram, its line end included, rather than each read'
            cand --tolerate-truncation 'TLS: a peer that ends without close_notify, so that something may be missing, ends cleanly all the same'
            cand --hexdump 'Show both directions in hexadecimal with offsets, on standard error'
            cand --progress 'Show a progress bar, on standard error, wherever that is'
            cand --no-progress 'Show no progress bar; without either flag there is one if a file is sent from a terminal'
            cand --reconnect 'Keep the connection up: connect again when it is lost or cannot be made, after a growing delay'
            cand -v 'Log connections; twice: log data too'
            cand --verbose 'Log connections; twice: log data too'
            cand -q 'Log errors only'
            cand --quiet 'Log errors only'
            cand -h 'Print help (see more with ''--help'')'
            cand --help 'Print help (see more with ''--help'')'
        }
        &'netkit;listen'= {
            cand --send 'Send TEXT before standard input; \r \n \t \0 \\ and \xHH are understood'
            cand --half-close-timeout 'After our end of file: how long to wait for the peer''s. UDP: how long nothing may come before the run is over'
            cand --idle-timeout 'Give up when nothing has moved in either direction for so long'
            cand --timeout 'Give up when the whole run takes longer'
            cand --record 'Write what is exchanged, decrypted, to a pcapng file that Wireshark opens; a file that is there is emptied'
            cand --handshake-timeout 'Close a connection that is not established by then: its PROXY header read, and whatever else comes first'
            cand --allow 'Let in clients from these addresses and, where no rule is about them, no others: an address, or a block such as 10.0.0.0/8; of several rules the most specific one decides'
            cand --deny 'Turn away clients from these addresses; a tie denies'
            cand --ready-file 'Once all endpoints are bound, write the client strings that lead to them here, a line each, atomically. A regular file that is there gives way; anything else stays, and is an error'
            cand --ready-fd 'Write the same lines to descriptor N, then close it'
            cand --grace 'After SIGINT or SIGTERM: how long open connections may go on'
            cand --log-format 'How a line of the log is written'
            cand --log-file 'Log to a file instead of standard error; SIGHUP reopens it'
            cand --syslog 'Log to the system''s log, /dev/log, instead of standard error; PREFIX is our name there, by default netkit'
            cand -k 'Go on with the next connection when one has ended'
            cand --keep-open 'Go on with the next connection when one has ended'
            cand --no-stdin 'Read nothing from standard input, as if it were empty'
            cand --crlf 'Send CRLF for each LF read; a CRLF that is there already stays as it is'
            cand --line 'UDP: make each line a datagram, its line end included, rather than each read'
            cand --tolerate-truncation 'TLS: a peer that ends without close_notify, so that something may be missing, ends cleanly all the same'
            cand --hexdump 'Show both directions in hexadecimal with offsets, on standard error'
            cand --progress 'Show a progress bar, on standard error, wherever that is'
            cand --no-progress 'Show no progress bar; without either flag there is one if a file is sent from a terminal'
            cand -v 'Log connections; twice: log data too'
            cand --verbose 'Log connections; twice: log data too'
            cand -q 'Log errors only'
            cand --quiet 'Log errors only'
            cand -h 'Print help (see more with ''--help'')'
            cand --help 'Print help (see more with ''--help'')'
        }
        &'netkit;relay'= {
            cand --to 'Forward to this client endpoint; repeatable'
            cand --balance 'Which of several targets is next: one after the other, that with the fewest connections, or the first that can be had'
            cand --connect-timeout 'Give up on a target that is not connected by then'
            cand --framing 'Between datagrams and a stream: how they lie in it. Two bytes before each hold its length, the high one first, as in DNS over TCP; or each is a line'
            cand --udp-idle 'End the flow of a peer that sends datagrams when nothing moved on it for so long; 60s by default'
            cand --max-flows 'Keep at most N flows at once on an endpoint, 4096 by default; a further peer takes the place of the one that was idle for the longest'
            cand --record 'Write what clients exchange, decrypted, to a pcapng file that Wireshark opens; a file that is there is emptied'
            cand --delay 'Every byte or datagram, and the end, arrives so much later'
            cand --jitter 'Each piece is late by a random time up to this, besides; none overtakes another'
            cand --rate 'Pass on so many bytes a second in each direction, such as 10KiB/s or 1MB/s'
            cand --close-after 'Close both connections once exactly so many bytes have passed in one of the directions'
            cand --corrupt 'Flip a bit in every N bytes on average'
            cand --seed 'What --jitter and --corrupt draw is drawn by this number, and the same the next time; -v says which it was'
            cand --max-connections 'Serve at most N connections at once; further clients wait in the backlog'
            cand --max-connections-per-ip 'Serve at most N connections from one address at once; further ones are closed'
            cand --idle-timeout 'Close a connection on which nothing has moved for so long'
            cand --handshake-timeout 'Close a connection that is not established by then: its PROXY header read, and whatever else comes first'
            cand --workers 'Serve with N threads'
            cand --allow 'Let in clients from these addresses and, where no rule is about them, no others: an address, or a block such as 10.0.0.0/8; of several rules the most specific one decides'
            cand --deny 'Turn away clients from these addresses; a tie denies'
            cand --metrics 'Serve /metrics for Prometheus, /healthz and /readyz there, over HTTP'
            cand --ready-file 'Once all endpoints are bound, write the client strings that lead to them here, a line each, atomically. A regular file that is there gives way; anything else stays, and is an error'
            cand --ready-fd 'Write the same lines to descriptor N, then close it'
            cand --grace 'After SIGINT or SIGTERM: how long open connections may go on'
            cand --pidfile 'Write the number of the process to PATH and keep it locked; removed at the end'
            cand --user 'Once all is bound, become USER, a name or a number, without supplementary groups and for good'
            cand --group 'Become GROUP instead of the user''s primary group'
            cand --chroot 'Once all is bound, make DIR the root directory'
            cand --rundir 'Once all is bound, run in DIR, below the new root if there is one; a daemon runs in / otherwise'
            cand --umask 'The permissions that the files we make do not get, in octal'
            cand --log-format 'How a line of the log is written'
            cand --log-file 'Log to a file instead of standard error; SIGHUP reopens it'
            cand --syslog 'Log to the system''s log, /dev/log, instead of standard error; PREFIX is our name there, by default netkit'
            cand --hexdump 'Show both directions in hexadecimal with offsets, on standard error'
            cand --once 'Serve one connection, or answer one datagram, then exit'
            cand --daemonize 'Serve in the background; return once all endpoints are bound, or with the status of the failure'
            cand --no-sandbox 'Do not hold the server to what it needs by Landlock, as --daemonize, --user, --group and --chroot do'
            cand -v 'Log connections; twice: log data too'
            cand --verbose 'Log connections; twice: log data too'
            cand -q 'Log errors only'
            cand --quiet 'Log errors only'
            cand -h 'Print help (see more with ''--help'')'
            cand --help 'Print help (see more with ''--help'')'
        }
        &'netkit;cert'= {
            cand --log-format 'How a line of the log is written'
            cand --log-file 'Log to a file instead of standard error; SIGHUP reopens it'
            cand --syslog 'Log to the system''s log, /dev/log, instead of standard error; PREFIX is our name there, by default netkit'
            cand -v 'Log connections; twice: log data too'
            cand --verbose 'Log connections; twice: log data too'
            cand -q 'Log errors only'
            cand --quiet 'Log errors only'
            cand -h 'Print help (see more with ''--help'')'
            cand --help 'Print help (see more with ''--help'')'
            cand self-signed 'Make a certificate that vouches for itself, and its key'
            cand ca 'Make an authority, which can issue certificates'
            cand issue 'Issue a certificate of an authority'
            cand show 'Show the certificates of a file, or those of a server and whether it is to be believed'
            cand trust 'Print where netkit''s own authority is, and how to hand it to curl; it is made where there is none yet'
            cand help 'Print this message or the help of the given subcommand(s)'
        }
        &'netkit;cert;self-signed'= {
            cand --key-type 'The kind of key'
            cand --days 'Valid for so many days from now, or from --not-before where that is later [default: 365; an authority: 3650]'
            cand --not-before 'Valid from this moment on, such as 2027-01-31 or 2027-01-31T12:00:00Z'
            cand --not-after 'Valid until this moment, which may be over already: for tests'
            cand --out 'Write cert.pem and key.pem into this directory, which is made where it is missing'
            cand --passphrase-file 'Encrypt the key with the passphrase in the first line of this file'
            cand --log-format 'How a line of the log is written'
            cand --log-file 'Log to a file instead of standard error; SIGHUP reopens it'
            cand --syslog 'Log to the system''s log, /dev/log, instead of standard error; PREFIX is our name there, by default netkit'
            cand --client 'For a client rather than a server'
            cand --combined 'Write one file instead, combined.pem, with the key and the certificate'
            cand --force 'Overwrite files that are there already'
            cand -v 'Log connections; twice: log data too'
            cand --verbose 'Log connections; twice: log data too'
            cand -q 'Log errors only'
            cand --quiet 'Log errors only'
            cand -h 'Print help (see more with ''--help'')'
            cand --help 'Print help (see more with ''--help'')'
        }
        &'netkit;cert;ca'= {
            cand --name 'What it is called'
            cand --permit 'Vouch for this DNS name and those below it, or for this address, and for nothing else; repeatable'
            cand --key-type 'The kind of key'
            cand --days 'Valid for so many days from now, or from --not-before where that is later [default: 365; an authority: 3650]'
            cand --not-before 'Valid from this moment on, such as 2027-01-31 or 2027-01-31T12:00:00Z'
            cand --not-after 'Valid until this moment, which may be over already: for tests'
            cand --out 'Write cert.pem and key.pem into this directory, which is made where it is missing'
            cand --passphrase-file 'Encrypt the key with the passphrase in the first line of this file'
            cand --log-format 'How a line of the log is written'
            cand --log-file 'Log to a file instead of standard error; SIGHUP reopens it'
            cand --syslog 'Log to the system''s log, /dev/log, instead of standard error; PREFIX is our name there, by default netkit'
            cand --combined 'Write one file instead, combined.pem, with the key and the certificate'
            cand --force 'Overwrite files that are there already'
            cand -v 'Log connections; twice: log data too'
            cand --verbose 'Log connections; twice: log data too'
            cand -q 'Log errors only'
            cand --quiet 'Log errors only'
            cand -h 'Print help (see more with ''--help'')'
            cand --help 'Print help (see more with ''--help'')'
        }
        &'netkit;cert;issue'= {
            cand --ca 'The directory of the authority, with its cert.pem and key.pem'
            cand --ca-passphrase-file 'The file whose first line is the passphrase of the authority''s key'
            cand --csr 'Issue it for this certificate request; names on the command line take the place of its own'
            cand --key-type 'The kind of key'
            cand --days 'Valid for so many days from now, or from --not-before where that is later [default: 365; an authority: 3650]'
            cand --not-before 'Valid from this moment on, such as 2027-01-31 or 2027-01-31T12:00:00Z'
            cand --not-after 'Valid until this moment, which may be over already: for tests'
            cand --out 'Write cert.pem and key.pem into this directory, which is made where it is missing'
            cand --passphrase-file 'Encrypt the key with the passphrase in the first line of this file'
            cand --log-format 'How a line of the log is written'
            cand --log-file 'Log to a file instead of standard error; SIGHUP reopens it'
            cand --syslog 'Log to the system''s log, /dev/log, instead of standard error; PREFIX is our name there, by default netkit'
            cand --client 'For a client rather than a server'
            cand --combined 'Write one file instead, combined.pem, with the key and the certificate'
            cand --force 'Overwrite files that are there already'
            cand -v 'Log connections; twice: log data too'
            cand --verbose 'Log connections; twice: log data too'
            cand -q 'Log errors only'
            cand --quiet 'Log errors only'
            cand -h 'Print help (see more with ''--help'')'
            cand --help 'Print help (see more with ''--help'')'
        }
        &'netkit;cert;show'= {
            cand --log-format 'How a line of the log is written'
            cand --log-file 'Log to a file instead of standard error; SIGHUP reopens it'
            cand --syslog 'Log to the system''s log, /dev/log, instead of standard error; PREFIX is our name there, by default netkit'
            cand --json 'Print the same as JSON'
            cand --pem 'Print the certificates themselves, as PEM'
            cand -v 'Log connections; twice: log data too'
            cand --verbose 'Log connections; twice: log data too'
            cand -q 'Log errors only'
            cand --quiet 'Log errors only'
            cand -h 'Print help (see more with ''--help'')'
            cand --help 'Print help (see more with ''--help'')'
        }
        &'netkit;cert;trust'= {
            cand --log-format 'How a line of the log is written'
            cand --log-file 'Log to a file instead of standard error; SIGHUP reopens it'
            cand --syslog 'Log to the system''s log, /dev/log, instead of standard error; PREFIX is our name there, by default netkit'
            cand -v 'Log connections; twice: log data too'
            cand --verbose 'Log connections; twice: log data too'
            cand -q 'Log errors only'
            cand --quiet 'Log errors only'
            cand -h 'Print help (see more with ''--help'')'
            cand --help 'Print help (see more with ''--help'')'
        }
        &'netkit;cert;help'= {
            cand self-signed 'Make a certificate that vouches for itself, and its key'
            cand ca 'Make an authority, which can issue certificates'
            cand issue 'Issue a certificate of an authority'
            cand show 'Show the certificates of a file, or those of a server and whether it is to be believed'
            cand trust 'Print where netkit''s own authority is, and how to hand it to curl; it is made where there is none yet'
            cand help 'Print this message or the help of the given subcommand(s)'
        }
        &'netkit;cert;help;self-signed'= {
        }
        &'netkit;cert;help;ca'= {
        }
        &'netkit;cert;help;issue'= {
        }
        &'netkit;cert;help;show'= {
        }
        &'netkit;cert;help;trust'= {
        }
        &'netkit;cert;help;help'= {
        }
        &'netkit;finger'= {
            cand -p 'The port of hosts that are named without one'
            cand --port 'The port of hosts that are named without one'
            cand -t 'Give up on a server that has not answered in full by then'
            cand --timeout 'Give up on a server that has not answered in full by then'
            cand -e 'Ask here, whatever host is named: what is asked goes there as it stands'
            cand --endpoint 'Ask here, whatever host is named: what is asked goes there as it stands'
            cand --log-format 'How a line of the log is written'
            cand --log-file 'Log to a file instead of standard error; SIGHUP reopens it'
            cand --syslog 'Log to the system''s log, /dev/log, instead of standard error; PREFIX is our name there, by default netkit'
            cand -l 'Ask for more than usual (RFC 1288: /W)'
            cand --long 'Ask for more than usual (RFC 1288: /W)'
            cand -v 'Log connections; twice: log data too'
            cand --verbose 'Log connections; twice: log data too'
            cand -q 'Log errors only'
            cand --quiet 'Log errors only'
            cand -h 'Print help (see more with ''--help'')'
            cand --help 'Print help (see more with ''--help'')'
        }
        &'netkit;run'= {
            cand --with 'A server to start beside a command: NAME=''serve PROTOCOL ENDPOINT...'' or NAME=''relay ...'', with any of their flags'
            cand --filter 'Play only scripts whose path matches this regex; a part of a name is one'
            cand -j 'How many scripts are played at once'
            cand --jobs 'How many scripts are played at once'
            cand --junit 'Write a report as JUnit''s XML as well; the file appears whole'
            cand --log-format 'How a line of the log is written'
            cand --log-file 'Log to a file instead of standard error; SIGHUP reopens it'
            cand --syslog 'Log to the system''s log, /dev/log, instead of standard error; PREFIX is our name there, by default netkit'
            cand --tap 'Report as TAP, version 14'
            cand --json 'Report as JSON, one object when all have been played'
            cand --keep 'Keep the directory of a script that failed; the report says where it is'
            cand -v 'Log connections; twice: log data too'
            cand --verbose 'Log connections; twice: log data too'
            cand -q 'Log errors only'
            cand --quiet 'Log errors only'
            cand -h 'Print help (see more with ''--help'')'
            cand --help 'Print help (see more with ''--help'')'
        }
        &'netkit;wait'= {
            cand -t 'Give up after so long, with status 4'
            cand --timeout 'Give up after so long, with status 4'
            cand --attempt-timeout 'The limit on one attempt; one that is not answered by then is followed by the next'
            cand -i 'The longest wait between two attempts'
            cand --interval 'The longest wait between two attempts'
            cand --stable 'Wait until every attempt has succeeded for so long'
            cand --send 'Send TEXT on each connection; \r \n \t \0 \\ and \xHH are understood'
            cand --expect 'What comes has to hold TEXT, escapes as with --send'
            cand --log-format 'How a line of the log is written'
            cand --log-file 'Log to a file instead of standard error; SIGHUP reopens it'
            cand --syslog 'Log to the system''s log, /dev/log, instead of standard error; PREFIX is our name there, by default netkit'
            cand --gone 'Wait until nobody accepts any more'
            cand -v 'Log connections; twice: log data too'
            cand --verbose 'Log connections; twice: log data too'
            cand -q 'Log errors only'
            cand --quiet 'Log errors only'
            cand -h 'Print help (see more with ''--help'')'
            cand --help 'Print help (see more with ''--help'')'
        }
        &'netkit;explain'= {
            cand --log-format 'How a line of the log is written'
            cand --log-file 'Log to a file instead of standard error; SIGHUP reopens it'
            cand --syslog 'Log to the system''s log, /dev/log, instead of standard error; PREFIX is our name there, by default netkit'
            cand --json 'Print the same as JSON'
            cand -v 'Log connections; twice: log data too'
            cand --verbose 'Log connections; twice: log data too'
            cand -q 'Log errors only'
            cand --quiet 'Log errors only'
            cand -h 'Print help (see more with ''--help'')'
            cand --help 'Print help (see more with ''--help'')'
        }
        &'netkit;translate'= {
            cand --log-format 'How a line of the log is written'
            cand --log-file 'Log to a file instead of standard error; SIGHUP reopens it'
            cand --syslog 'Log to the system''s log, /dev/log, instead of standard error; PREFIX is our name there, by default netkit'
            cand -v 'Log connections; twice: log data too'
            cand --verbose 'Log connections; twice: log data too'
            cand -q 'Log errors only'
            cand --quiet 'Log errors only'
            cand -h 'Print help (see more with ''--help'')'
            cand --help 'Print help (see more with ''--help'')'
        }
        &'netkit;completions'= {
            cand --log-format 'How a line of the log is written'
            cand --log-file 'Log to a file instead of standard error; SIGHUP reopens it'
            cand --syslog 'Log to the system''s log, /dev/log, instead of standard error; PREFIX is our name there, by default netkit'
            cand -v 'Log connections; twice: log data too'
            cand --verbose 'Log connections; twice: log data too'
            cand -q 'Log errors only'
            cand --quiet 'Log errors only'
            cand -h 'Print help (see more with ''--help'')'
            cand --help 'Print help (see more with ''--help'')'
        }
        &'netkit;manual'= {
            cand --log-format 'How a line of the log is written'
            cand --log-file 'Log to a file instead of standard error; SIGHUP reopens it'
            cand --syslog 'Log to the system''s log, /dev/log, instead of standard error; PREFIX is our name there, by default netkit'
            cand -v 'Log connections; twice: log data too'
            cand --verbose 'Log connections; twice: log data too'
            cand -q 'Log errors only'
            cand --quiet 'Log errors only'
            cand -h 'Print help (see more with ''--help'')'
            cand --help 'Print help (see more with ''--help'')'
        }
        &'netkit;help'= {
            cand serve 'Run a built-in protocol on one or more server endpoints'
            cand connect 'Wire a client endpoint to stdin/stdout'
            cand listen 'Accept on a server endpoint and wire it to stdin/stdout'
            cand relay 'Forward every accepted connection to a client endpoint'
            cand cert 'Make certificates and keys, and look at them'
            cand finger 'Query a finger server'
            cand run 'Play scripts that test servers and clients, or run a command beside servers'
            cand wait 'Return once every endpoint accepts a connection, and then run a command'
            cand explain 'Show how an endpoint string is read, as client and as server'
            cand translate 'Print the netkit line that does what a line of nc, ncat, socat, openssl or stunnel does'
            cand completions 'Print the completion script for a shell'
            cand manual 'Write the manual pages into a directory'
            cand help 'Print this message or the help of the given subcommand(s)'
        }
        &'netkit;help;serve'= {
        }
        &'netkit;help;connect'= {
        }
        &'netkit;help;listen'= {
        }
        &'netkit;help;relay'= {
        }
        &'netkit;help;cert'= {
            cand self-signed 'Make a certificate that vouches for itself, and its key'
            cand ca 'Make an authority, which can issue certificates'
            cand issue 'Issue a certificate of an authority'
            cand show 'Show the certificates of a file, or those of a server and whether it is to be believed'
            cand trust 'Print where netkit''s own authority is, and how to hand it to curl; it is made where there is none yet'
        }
        &'netkit;help;cert;self-signed'= {
        }
        &'netkit;help;cert;ca'= {
        }
        &'netkit;help;cert;issue'= {
        }
        &'netkit;help;cert;show'= {
        }
        &'netkit;help;cert;trust'= {
        }
        &'netkit;help;finger'= {
        }
        &'netkit;help;run'= {
        }
        &'netkit;help;wait'= {
        }
        &'netkit;help;explain'= {
        }
        &'netkit;help;translate'= {
        }
        &'netkit;help;completions'= {
        }
        &'netkit;help;manual'= {
        }
        &'netkit;help;help'= {
        }
    ]
    $completions[$command]
}
