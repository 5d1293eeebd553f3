
using namespace System.Management.Automation
using namespace System.Management.Automation.Language

Register-ArgumentCompleter -Native -CommandName 'netkit' -ScriptBlock {
    param($wordToComplete, $commandAst, $cursorPosition)

    $commandElements = $commandAst.CommandElements
    $command = @(
        'netkit'
        for ($i = 1; $i -lt $commandElements.Count; $i++) {
            $element = $commandElements[$i]
            if ($element -isnot [StringConstantExpressionAst] -or
                $element.StringConstantType -ne [StringConstantType]::BareWord -or
                $element.Value.StartsWith('-') -or
                $element.Value -eq $wordToComplete) {
                break
        }
        $element.Value
    }) -join ';'

    $completions = @(switch ($command) {
        'netkit' {
            [CompletionResult]::new('--log-format', '--log-format', [CompletionResultType]::ParameterName, 'How a line of the log is written')
            [CompletionResult]::new('--log-file', '--log-file', [CompletionResultType]::ParameterName, 'Log to a file instead of standard error; SIGHUP reopens it')
            [CompletionResult]::new('--syslog', '--syslog', [CompletionResultType]::ParameterName, 'Log to the system''s log, /dev/log, instead of standard error; PREFIX is our name there, by default netkit')
            [CompletionResult]::new('-v', '-v', [CompletionResultType]::ParameterName, 'Log connections; twice: log data too')
            [CompletionResult]::new('--verbose', '--verbose', [CompletionResultType]::ParameterName, 'Log connections; twice: log data too')
            [CompletionResult]::new('-q', '-q', [CompletionResultType]::ParameterName, 'Log errors only')
            [CompletionResult]::new('--quiet', '--quiet', [CompletionResultType]::ParameterName, 'Log errors only')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('-V', '-V ', [CompletionResultType]::ParameterName, 'Print version')
            [CompletionResult]::new('--version', '--version', [CompletionResultType]::ParameterName, 'Print version')
            [CompletionResult]::new('serve', 'serve', [CompletionResultType]::ParameterValue, 'Run a built-in protocol on one or more server endpoints')
            [CompletionResult]::new('connect', 'connect', [CompletionResultType]::ParameterValue, 'Wire a client endpoint to stdin/stdout')
            [CompletionResult]::new('listen', 'listen', [CompletionResultType]::ParameterValue, 'Accept on a server endpoint and wire it to stdin/stdout')
            [CompletionResult]::new('relay', 'relay', [CompletionResultType]::ParameterValue, 'Forward every accepted connection to a client endpoint')
            [CompletionResult]::new('cert', 'cert', [CompletionResultType]::ParameterValue, 'Make certificates and keys, and look at them')
            [CompletionResult]::new('finger', 'finger', [CompletionResultType]::ParameterValue, 'Query a finger server')
            [CompletionResult]::new('run', 'run', [CompletionResultType]::ParameterValue, 'Play scripts that test servers and clients, or run a command beside servers')
            [CompletionResult]::new('wait', 'wait', [CompletionResultType]::ParameterValue, 'Return once every endpoint accepts a connection, and then run a command')
            [CompletionResult]::new('explain', 'explain', [CompletionResultType]::ParameterValue, 'Show how an endpoint string is read, as client and as server')
            [CompletionResult]::new('translate', 'translate', [CompletionResultType]::ParameterValue, 'Print the netkit line that does what a line of nc, ncat, socat, openssl or stunnel does')
            [CompletionResult]::new('completions', 'completions', [CompletionResultType]::ParameterValue, 'Print the completion script for a shell')
            [CompletionResult]::new('manual', 'manual', [CompletionResultType]::ParameterValue, 'Write the manual pages into a directory')
            [CompletionResult]::new('help', 'help', [CompletionResultType]::ParameterValue, 'Print this message or the help of the given subcommand(s)')
            break
        }
        'netkit;serve' {
            [CompletionResult]::new('--max-connections', '--max-connections', [CompletionResultType]::ParameterName, 'Serve at most N connections at once; further clients wait in the backlog')
            [CompletionResult]::new('--max-connections-per-ip', '--max-connections-per-ip', [CompletionResultType]::ParameterName, 'Serve at most N connections from one address at once; further ones are closed')
            [CompletionResult]::new('--idle-timeout', '--idle-timeout', [CompletionResultType]::ParameterName, 'Close a connection on which nothing has moved for so long')
            [CompletionResult]::new('--handshake-timeout', '--handshake-timeout', [CompletionResultType]::ParameterName, 'Close a connection that is not established by then: its PROXY header read, and whatever else comes first')
            [CompletionResult]::new('--workers', '--workers', [CompletionResultType]::ParameterName, 'Serve with N threads')
            [CompletionResult]::new('--allow', '--allow', [CompletionResultType]::ParameterName, 'Let in clients from these addresses and, where no rule is about them, no others: an address, or a block such as 10.0.0.0/8; of several rules the most specific one decides')
            [CompletionResult]::new('--deny', '--deny', [CompletionResultType]::ParameterName, 'Turn away clients from these addresses; a tie denies')
            [CompletionResult]::new('--metrics', '--metrics', [CompletionResultType]::ParameterName, 'Serve /metrics for Prometheus, /healthz and /readyz there, over HTTP')
            [CompletionResult]::new('--ready-file', '--ready-file', [CompletionResultType]::ParameterName, 'Once all endpoints are bound, write the client strings that lead to them here, a line each, atomically. A regular file that is there gives way; anything else stays, and is an error')
            [CompletionResult]::new('--ready-fd', '--ready-fd', [CompletionResultType]::ParameterName, 'Write the same lines to descriptor N, then close it')
            [CompletionResult]::new('--grace', '--grace', [CompletionResultType]::ParameterName, 'After SIGINT or SIGTERM: how long open connections may go on')
            [CompletionResult]::new('--pidfile', '--pidfile', [CompletionResultType]::ParameterName, 'Write the number of the process to PATH and keep it locked; removed at the end')
            [CompletionResult]::new('--user', '--user', [CompletionResultType]::ParameterName, 'Once all is bound, become USER, a name or a number, without supplementary groups and for good')
            [CompletionResult]::new('--group', '--group', [CompletionResultType]::ParameterName, 'Become GROUP instead of the user''s primary group')
            [CompletionResult]::new('--chroot', '--chroot', [CompletionResultType]::ParameterName, 'Once all is bound, make DIR the root directory')
            [CompletionResult]::new('--rundir', '--rundir', [CompletionResultType]::ParameterName, 'Once all is bound, run in DIR, below the new root if there is one; a daemon runs in / otherwise')
            [CompletionResult]::new('--umask', '--umask', [CompletionResultType]::ParameterName, 'The permissions that the files we make do not get, in octal')
            [CompletionResult]::new('--quote', '--quote', [CompletionResultType]::ParameterName, 'qotd: the quote to say, below 512 bytes; default: one of ours a day')
            [CompletionResult]::new('--max-line', '--max-line', [CompletionResultType]::ParameterName, 'lines: the longest line that is taken, in bytes, its end not counted; default 16384')
            [CompletionResult]::new('--file', '--file', [CompletionResultType]::ParameterName, 'lines: what `write: TEXT` appends to; default file.txt')
            [CompletionResult]::new('--commands', '--commands', [CompletionResultType]::ParameterName, 'lines: a file of commands instead of the built-in ones, see netkit-lines(5); SIGHUP reads it again')
            [CompletionResult]::new('--users', '--users', [CompletionResultType]::ParameterName, 'finger: users in a TOML file, `NAME = "TEXT"` a line; read again when it changes')
            [CompletionResult]::new('--system', '--system', [CompletionResultType]::ParameterName, 'finger: users of this system, with their .project and .plan')
            [CompletionResult]::new('--command', '--command', [CompletionResultType]::ParameterName, 'finger: a program that is run with the name as its argument, without a shell; its output is the answer, see netkit-finger(5)')
            [CompletionResult]::new('--url', '--url', [CompletionResultType]::ParameterName, 'finger: an http or https URL that is asked for with the name behind it')
            [CompletionResult]::new('--no-list', '--no-list', [CompletionResultType]::ParameterName, 'finger: refuse to list the users of --user-entry and --users')
            [CompletionResult]::new('--no-answer', '--no-answer', [CompletionResultType]::ParameterName, 'finger: read a query, then close without an answer')
            [CompletionResult]::new('--forward', '--forward', [CompletionResultType]::ParameterName, 'finger: pass user@host on to that host, one server far')
            [CompletionResult]::new('--forward-port', '--forward-port', [CompletionResultType]::ParameterName, 'finger: the port of the servers that queries are passed on to; default: 79')
            [CompletionResult]::new('--query-timeout', '--query-timeout', [CompletionResultType]::ParameterName, 'finger: how long a client may take to send its query, and to take its answer; default: 30s')
            [CompletionResult]::new('--answer-timeout', '--answer-timeout', [CompletionResultType]::ParameterName, 'finger: how long finding an answer may take; default: 10s')
            [CompletionResult]::new('--user-entry', '--user-entry', [CompletionResultType]::ParameterName, 'finger: a user, as NAME=TEXT; can be given several times')
            [CompletionResult]::new('--log-format', '--log-format', [CompletionResultType]::ParameterName, 'How a line of the log is written')
            [CompletionResult]::new('--log-file', '--log-file', [CompletionResultType]::ParameterName, 'Log to a file instead of standard error; SIGHUP reopens it')
            [CompletionResult]::new('--syslog', '--syslog', [CompletionResultType]::ParameterName, 'Log to the system''s log, /dev/log, instead of standard error; PREFIX is our name there, by default netkit')
            [CompletionResult]::new('--hexdump', '--hexdump', [CompletionResultType]::ParameterName, 'Show both directions in hexadecimal with offsets, on standard error')
            [CompletionResult]::new('--once', '--once', [CompletionResultType]::ParameterName, 'Serve one connection, or answer one datagram, then exit')
            [CompletionResult]::new('--daemonize', '--daemonize', [CompletionResultType]::ParameterName, 'Serve in the background; return once all endpoints are bound, or with the status of the failure')
            [CompletionResult]::new('--no-sandbox', '--no-sandbox', [CompletionResultType]::ParameterName, 'Do not hold the server to what it needs by Landlock, as --daemonize, --user, --group and --chroot do')
            [CompletionResult]::new('-v', '-v', [CompletionResultType]::ParameterName, 'Log connections; twice: log data too')
            [CompletionResult]::new('--verbose', '--verbose', [CompletionResultType]::ParameterName, 'Log connections; twice: log data too')
            [CompletionResult]::new('-q', '-q', [CompletionResultType]::ParameterName, 'Log errors only')
            [CompletionResult]::new('--quiet', '--quiet', [CompletionResultType]::ParameterName, 'Log errors only')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            break
        }
        'netkit;connect' {
            [CompletionResult]::new('--send', '--send', [CompletionResultType]::ParameterName, 'Send TEXT before standard input; \r \n \t \0 \\ and \xHH are understood')
            [CompletionResult]::new('--half-close-timeout', '--half-close-timeout', [CompletionResultType]::ParameterName, 'After our end of file: how long to wait for the peer''s. UDP: how long nothing may come before the run is over')
            [CompletionResult]::new('--idle-timeout', '--idle-timeout', [CompletionResultType]::ParameterName, 'Give up when nothing has moved in either direction for so long')
            [CompletionResult]::new('--timeout', '--timeout', [CompletionResultType]::ParameterName, 'Give up when the whole run takes longer')
            [CompletionResult]::new('--record', '--record', [CompletionResultType]::ParameterName, 'Write what is exchanged, decrypted, to a pcapng file that Wireshark opens; a file that is there is emptied')
            [CompletionResult]::new('--fail-after', '--fail-after', [CompletionResultType]::ParameterName, 'Give up after N failed attempts in a row, with the status of the last one')
            [CompletionResult]::new('--backoff', '--backoff', [CompletionResultType]::ParameterName, 'The delay after a loss or a first failure, what each further failure multiplies it with, the longest, and the random time added to each')
            [CompletionResult]::new('--log-format', '--log-format', [CompletionResultType]::ParameterName, 'How a line of the log is written')
            [CompletionResult]::new('--log-file', '--log-file', [CompletionResultType]::ParameterName, 'Log to a file instead of standard error; SIGHUP reopens it')
            [CompletionResult]::new('--syslog', '--syslog', [CompletionResultType]::ParameterName, 'Log to the system''s log, /dev/log, instead of standard error; PREFIX is our name there, by default netkit')
            [CompletionResult]::new('--no-history', '--no-history', [CompletionResultType]::ParameterName, 'On a terminal: remember no line that is typed, and recall none')
            [CompletionResult]::new('--no-stdin', '--no-stdin', [CompletionResultType]::ParameterName, 'Read nothing from standard input, as if it were empty')
            [CompletionResult]::new('--crlf', '--crlf', [CompletionResultType]::ParameterName, 'Send CRLF for each LF read; a CRLF that is there already stays as it is')
            [CompletionResult]::new('--line', '--line', [CompletionResultType]::ParameterName, 'UDP: make each line a datagram, its line end included, rather than each read')
            [CompletionResult]::new('--tolerate-truncation', '--tolerate-truncation', [CompletionResultType]::ParameterName, 'TLS: a peer that ends without close_notify, so that something may be missing, ends cleanly all the same')
            [CompletionResult]::new('--hexdump', '--hexdump', [CompletionResultType]::ParameterName, 'Show both directions in hexadecimal with offsets, on standard error')
            [CompletionResult]::new('--progress', '--progress', [CompletionResultType]::ParameterName, 'Show a progress bar, on standard error, wherever that is')
            [CompletionResult]::new('--no-progress', '--no-progress', [CompletionResultType]::ParameterName, 'Show no progress bar; without either flag there is one if a file is sent from a terminal')
            [CompletionResult]::new('--reconnect', '--reconnect', [CompletionResultType]::ParameterName, 'Keep the connection up: connect again when it is lost or cannot be made, after a growing delay')
            [CompletionResult]::new('-v', '-v', [CompletionResultType]::ParameterName, 'Log connections; twice: log data too')
            [CompletionResult]::new('--verbose', '--verbose', [CompletionResultType]::ParameterName, 'Log connections; twice: log data too')
            [CompletionResult]::new('-q', '-q', [CompletionResultType]::ParameterName, 'Log errors only')
            [CompletionResult]::new('--quiet', '--quiet', [CompletionResultType]::ParameterName, 'Log errors only')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            break
        }
        'netkit;listen' {
            [CompletionResult]::new('--send', '--send', [CompletionResultType]::ParameterName, 'Send TEXT before standard input; \r \n \t \0 \\ and \xHH are understood')
            [CompletionResult]::new('--half-close-timeout', '--half-close-timeout', [CompletionResultType]::ParameterName, 'After our end of file: how long to wait for the peer''s. UDP: how long nothing may come before the run is over')
            [CompletionResult]::new('--idle-timeout', '--idle-timeout', [CompletionResultType]::ParameterName, 'Give up when nothing has moved in either direction for so long')
            [CompletionResult]::new('--timeout', '--timeout', [CompletionResultType]::ParameterName, 'Give up when the whole run takes longer')
            [CompletionResult]::new('--record', '--record', [CompletionResultType]::ParameterName, 'Write what is exchanged, decrypted, to a pcapng file that Wireshark opens; a file that is there is emptied')
            [CompletionResult]::new('--handshake-timeout', '--handshake-timeout', [CompletionResultType]::ParameterName, 'Close a connection that is not established by then: its PROXY header read, and whatever else comes first')
            [CompletionResult]::new('--allow', '--allow', [CompletionResultType]::ParameterName, 'Let in clients from these addresses and, where no rule is about them, no others: an address, or a block such as 10.0.0.0/8; of several rules the most specific one decides')
            [CompletionResult]::new('--deny', '--deny', [CompletionResultType]::ParameterName, 'Turn away clients from these addresses; a tie denies')
            [CompletionResult]::new('--ready-file', '--ready-file', [CompletionResultType]::ParameterName, 'Once all endpoints are bound, write the client strings that lead to them here, a line each, atomically. A regular file that is there gives way; anything else stays, and is an error')
            [CompletionResult]::new('--ready-fd', '--ready-fd', [CompletionResultType]::ParameterName, 'Write the same lines to descriptor N, then close it')
            [CompletionResult]::new('--grace', '--grace', [CompletionResultType]::ParameterName, 'After SIGINT or SIGTERM: how long open connections may go on')
            [CompletionResult]::new('--log-format', '--log-format', [CompletionResultType]::ParameterName, 'How a line of the log is written')
            [CompletionResult]::new('--log-file', '--log-file', [CompletionResultType]::ParameterName, 'Log to a file instead of standard error; SIGHUP reopens it')
            [CompletionResult]::new('--syslog', '--syslog', [CompletionResultType]::ParameterName, 'Log to the system''s log, /dev/log, instead of standard error; PREFIX is our name there, by default netkit')
            [CompletionResult]::new('-k', '-k', [CompletionResultType]::ParameterName, 'Go on with the next connection when one has ended')
            [CompletionResult]::new('--keep-open', '--keep-open', [CompletionResultType]::ParameterName, 'Go on with the next connection when one has ended')
            [CompletionResult]::new('--no-stdin', '--no-stdin', [CompletionResultType]::ParameterName, 'Read nothing from standard input, as if it were empty')
            [CompletionResult]::new('--crlf', '--crlf', [CompletionResultType]::ParameterName, 'Send CRLF for each LF read; a CRLF that is there already stays as it is')
            [CompletionResult]::new('--line', '--line', [CompletionResultType]::ParameterName, 'UDP: make each line a datagram, its line end included, rather than each read')
            [CompletionResult]::new('--tolerate-truncation', '--tolerate-truncation', [CompletionResultType]::ParameterName, 'TLS: a peer that ends without close_notify, so that something may be missing, ends cleanly all the same')
            [CompletionResult]::new('--hexdump', '--hexdump', [CompletionResultType]::ParameterName, 'Show both directions in hexadecimal with offsets, on standard error')
            [CompletionResult]::new('--progress', '--progress', [CompletionResultType]::ParameterName, 'Show a progress bar, on standard error, wherever that is')
            [CompletionResult]::new('--no-progress', '--no-progress', [CompletionResultType]::ParameterName, 'Show no progress bar; without either flag there is one if a file is sent from a terminal')
            [CompletionResult]::new('-v', '-v', [CompletionResultType]::ParameterName, 'Log connections; twice: log data too')
            [CompletionResult]::new('--verbose', '--verbose', [CompletionResultType]::ParameterName, 'Log connections; twice: log data too')
            [CompletionResult]::new('-q', '-q', [CompletionResultType]::ParameterName, 'Log errors only')
            [CompletionResult]::new('--quiet', '--quiet', [CompletionResultType]::ParameterName, 'Log errors only')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            break
        }
        'netkit;relay' {
            [CompletionResult]::new('--to', '--to', [CompletionResultType]::ParameterName, 'Forward to this client endpoint; repeatable')
            [CompletionResult]::new('--balance', '--balance', [CompletionResultType]::ParameterName, 'Which of several targets is next: one after the other, that with the fewest connections, or the first that can be had')
            [CompletionResult]::new('--connect-timeout', '--connect-timeout', [CompletionResultType]::ParameterName, 'Give up on a target that is not connected by then')
            [CompletionResult]::new('--framing', '--framing', [CompletionResultType]::ParameterName, 'Between datagrams and a stream: how they lie in it. Two bytes before each hold its length, the high one first, as in DNS over TCP; or each is a line')
            [CompletionResult]::new('--udp-idle', '--udp-idle', [CompletionResultType]::ParameterName, 'End the flow of a peer that sends datagrams when nothing moved on it for so long; 60s by default')
            [CompletionResult]::new('--max-flows', '--max-flows', [CompletionResultType]::ParameterName, 'Keep at most N flows at once on an endpoint, 4096 by default; a further peer takes the place of the one that was idle for the longest')
            [CompletionResult]::new('--record', '--record', [CompletionResultType]::ParameterName, 'Write what clients exchange, decrypted, to a pcapng file that Wireshark opens; a file that is there is emptied')
            [CompletionResult]::new('--delay', '--delay', [CompletionResultType]::ParameterName, 'Every byte or datagram, and the end, arrives so much later')
            [CompletionResult]::new('--jitter', '--jitter', [CompletionResultType]::ParameterName, 'Each piece is late by a random time up to this, besides; none overtakes another')
            [CompletionResult]::new('--rate', '--rate', [CompletionResultType]::ParameterName, 'Pass on so many bytes a second in each direction, such as 10KiB/s or 1MB/s')
            [CompletionResult]::new('--close-after', '--close-after', [CompletionResultType]::ParameterName, 'Close both connections once exactly so many bytes have passed in one of the directions')
            [CompletionResult]::new('--corrupt', '--corrupt', [CompletionResultType]::ParameterName, 'Flip a bit in every N bytes on average')
            [CompletionResult]::new('--seed', '--seed', [CompletionResultType]::ParameterName, 'What --jitter and --corrupt draw is drawn by this number, and the same the next time; -v says which it was')
            [CompletionResult]::new('--max-connections', '--max-connections', [CompletionResultType]::ParameterName, 'Serve at most N connections at once; further clients wait in the backlog')
            [CompletionResult]::new('--max-connections-per-ip', '--max-connections-per-ip', [CompletionResultType]::ParameterName, 'Serve at most N connections from one address at once; further ones are closed')
            [CompletionResult]::new('--idle-timeout', '--idle-timeout', [CompletionResultType]::ParameterName, 'Close a connection on which nothing has moved for so long')
            [CompletionResult]::new('--handshake-timeout', '--handshake-timeout', [CompletionResultType]::ParameterName, 'Close a connection that is not established by then: its PROXY header read, and whatever else comes first')
            [CompletionResult]::new('--workers', '--workers', [CompletionResultType]::ParameterName, 'Serve with N threads')
            [CompletionResult]::new('--allow', '--allow', [CompletionResultType]::ParameterName, 'Let in clients from these addresses and, where no rule is about them, no others: an address, or a block such as 10.0.0.0/8; of several rules the most specific one decides')
            [CompletionResult]::new('--deny', '--deny', [CompletionResultType]::ParameterName, 'Turn away clients from these addresses; a tie denies')
            [CompletionResult]::new('--metrics', '--metrics', [CompletionResultType]::ParameterName, 'Serve /metrics for Prometheus, /healthz and /readyz there, over HTTP')
            [CompletionResult]::new('--ready-file', '--ready-file', [CompletionResultType]::ParameterName, 'Once all endpoints are bound, write the client strings that lead to them here, a line each, atomically. A regular file that is there gives way; anything else stays, and is an error')
            [CompletionResult]::new('--ready-fd', '--ready-fd', [CompletionResultType]::ParameterName, 'Write the same lines to descriptor N, then close it')
            [CompletionResult]::new('--grace', '--grace', [CompletionResultType]::ParameterName, 'After SIGINT or SIGTERM: how long open connections may go on')
            [CompletionResult]::new('--pidfile', '--pidfile', [CompletionResultType]::ParameterName, 'Write the number of the process to PATH and keep it locked; removed at the end')
            [CompletionResult]::new('--user', '--user', [CompletionResultType]::ParameterName, 'Once all is bound, become USER, a name or a number, without supplementary groups and for good')
            [CompletionResult]::new('--group', '--group', [CompletionResultType]::ParameterName, 'Become GROUP instead of the user''s primary group')
            [CompletionResult]::new('--chroot', '--chroot', [CompletionResultType]::ParameterName, 'Once all is bound, make DIR the root directory')
            [CompletionResult]::new('--rundir', '--rundir', [CompletionResultType]::ParameterName, 'Once all is bound, run in DIR, below the new root if there is one; a daemon runs in / otherwise')
            [CompletionResult]::new('--umask', '--umask', [CompletionResultType]::ParameterName, 'The permissions that the files we make do not get, in octal')
            [CompletionResult]::new('--log-format', '--log-format', [CompletionResultType]::ParameterName, 'How a line of the log is written')
            [CompletionResult]::new('--log-file', '--log-file', [CompletionResultType]::ParameterName, 'Log to a file instead of standard error; SIGHUP reopens it')
            [CompletionResult]::new('--syslog', '--syslog', [CompletionResultType]::ParameterName, 'Log to the system''s log, /dev/log, instead of standard error; PREFIX is our name there, by default netkit')
            [CompletionResult]::new('--hexdump', '--hexdump', [CompletionResultType]::ParameterName, 'Show both directions in hexadecimal with offsets, on standard error')
            [CompletionResult]::new('--once', '--once', [CompletionResultType]::ParameterName, 'Serve one connection, or answer one datagram, then exit')
            [CompletionResult]::new('--daemonize', '--daemonize', [CompletionResultType]::ParameterName, 'Serve in the background; return once all endpoints are bound, or with the status of the failure')
            [CompletionResult]::new('--no-sandbox', '--no-sandbox', [CompletionResultType]::ParameterName, 'Do not hold the server to what it needs by Landlock, as --daemonize, --user, --group and --chroot do')
            [CompletionResult]::new('-v', '-v', [CompletionResultType]::ParameterName, 'Log connections; twice: log data too')
            [CompletionResult]::new('--verbose', '--verbose', [CompletionResultType]::ParameterName, 'Log connections; twice: log data too')
            [CompletionResult]::new('-q', '-q', [CompletionResultType]::ParameterName, 'Log errors only')
            [CompletionResult]::new('--quiet', '--quiet', [CompletionResultType]::ParameterName, 'Log errors only')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            break
        }
        'netkit;cert' {
            [CompletionResult]::new('--log-format', '--log-format', [CompletionResultType]::ParameterName, 'How a line of the log is written')
            [CompletionResult]::new('--log-file', '--log-file', [CompletionResultType]::ParameterName, 'Log to a file instead of standard error; SIGHUP reopens it')
            [CompletionResult]::new('--syslog', '--syslog', [CompletionResultType]::ParameterName, 'Log to the system''s log, /dev/log, instead of standard error; PREFIX is our name there, by default netkit')
            [CompletionResult]::new('-v', '-v', [CompletionResultType]::ParameterName, 'Log connections; twice: log data too')
            [CompletionResult]::new('--verbose', '--verbose', [CompletionResultType]::ParameterName, 'Log connections; twice: log data too')
            [CompletionResult]::new('-q', '-q', [CompletionResultType]::ParameterName, 'Log errors only')
            [CompletionResult]::new('--quiet', '--quiet', [CompletionResultType]::ParameterName, 'Log errors only')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('self-signed', 'self-signed', [CompletionResultType]::ParameterValue, 'Make a certificate that vouches for itself, and its key')
            [CompletionResult]::new('ca', 'ca', [CompletionResultType]::ParameterValue, 'Make an authority, which can issue certificates')
            [CompletionResult]::new('issue', 'issue', [CompletionResultType]::ParameterValue, 'Issue a certificate of an authority')
            [CompletionResult]::new('show', 'show', [CompletionResultType]::ParameterValue, 'Show the certificates of a file, or those of a server and whether it is to be believed')
            [CompletionResult]::new('trust', 'trust', [CompletionResultType]::ParameterValue, 'Print where netkit''s own authority is, and how to hand it to curl; it is made where there is none yet')
            [CompletionResult]::new('help', 'help', [CompletionResultType]::ParameterValue, 'Print this message or the help of the given subcommand(s)')
            break
        }
        'netkit;cert;self-signed' {
            [CompletionResult]::new('--key-type', '--key-type', [CompletionResultType]::ParameterName, 'The kind of key')
            [CompletionResult]::new('--days', '--days', [CompletionResultType]::ParameterName, 'Valid for so many days from now, or from --not-before where that is later [default: 365; an authority: 3650]')
            [CompletionResult]::new('--not-before', '--not-before', [CompletionResultType]::ParameterName, 'Valid from this moment on, such as 2027-01-31 or 2027-01-31T12:00:00Z')
            [CompletionResult]::new('--not-after', '--not-after', [CompletionResultType]::ParameterName, 'Valid until this moment, which may be over already: for tests')
            [CompletionResult]::new('--out', '--out', [CompletionResultType]::ParameterName, 'Write cert.pem and key.pem into this directory, which is made where it is missing')
            [CompletionResult]::new('--passphrase-file', '--passphrase-file', [CompletionResultType]::ParameterName, 'Encrypt the key with the passphrase in the first line of this file')
            [CompletionResult]::new('--log-format', '--log-format', [CompletionResultType]::ParameterName, 'How a line of the log is written')
            [CompletionResult]::new('--log-file', '--log-file', [CompletionResultType]::ParameterName, 'Log to a file instead of standard error; SIGHUP reopens it')
            [CompletionResult]::new('--syslog', '--syslog', [CompletionResultType]::ParameterName, 'Log to the system''s log, /dev/log, instead of standard error; PREFIX is our name there, by default netkit')
            [CompletionResult]::new('--client', '--client', [CompletionResultType]::ParameterName, 'For a client rather than a server')
            [CompletionResult]::new('--combined', '--combined', [CompletionResultType]::ParameterName, 'Write one file instead, combined.pem, with the key and the certificate')
            [CompletionResult]::new('--force', '--force', [CompletionResultType]::ParameterName, 'Overwrite files that are there already')
            [CompletionResult]::new('-v', '-v', [CompletionResultType]::ParameterName, 'Log connections; twice: log data too')
            [CompletionResult]::new('--verbose', '--verbose', [CompletionResultType]::ParameterName, 'Log connections; twice: log data too')
            [CompletionResult]::new('-q', '-q', [CompletionResultType]::ParameterName, 'Log errors only')
            [CompletionResult]::new('--quiet', '--quiet', [CompletionResultType]::ParameterName, 'Log errors only')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            break
        }
        'netkit;cert;ca' {
            [CompletionResult]::new('--name', '--name', [CompletionResultType]::ParameterName, 'What it is called')
            [CompletionResult]::new('--permit', '--permit', [CompletionResultType]::ParameterName, 'Vouch for this DNS name and those below it, or for this address, and for nothing else; repeatable')
            [CompletionResult]::new('--key-type', '--key-type', [CompletionResultType]::ParameterName, 'The kind of key')
            [CompletionResult]::new('--days', '--days', [CompletionResultType]::ParameterName, 'Valid for so many days from now, or from --not-before where that is later [default: 365; an authority: 3650]')
            [CompletionResult]::new('--not-before', '--not-before', [CompletionResultType]::ParameterName, 'Valid from this moment on, such as 2027-01-31 or 2027-01-31T12:00:00Z')
            [CompletionResult]::new('--not-after', '--not-after', [CompletionResultType]::ParameterName, 'Valid until this moment, which may be over already: for tests')
            [CompletionResult]::new('--out', '--out', [CompletionResultType]::ParameterName, 'Write cert.pem and key.pem into this directory, which is made where it is missing')
            [CompletionResult]::new('--passphrase-file', '--passphrase-file', [CompletionResultType]::ParameterName, 'Encrypt the key with the passphrase in the first line of this file')
            [CompletionResult]::new('--log-format', '--log-format', [CompletionResultType]::ParameterName, 'How a line of the log is written')
            [CompletionResult]::new('--log-file', '--log-file', [CompletionResultType]::ParameterName, 'Log to a file instead of standard error; SIGHUP reopens it')
            [CompletionResult]::new('--syslog', '--syslog', [CompletionResultType]::ParameterName, 'Log to the system''s log, /dev/log, instead of standard error; PREFIX is our name there, by default netkit')
            [CompletionResult]::new('--combined', '--combined', [CompletionResultType]::ParameterName, 'Write one file instead, combined.pem, with the key and the certificate')
            [CompletionResult]::new('--force', '--force', [CompletionResultType]::ParameterName, 'Overwrite files that are there already')
            [CompletionResult]::new('-v', '-v', [CompletionResultType]::ParameterName, 'Log connections; twice: log data too')
            [CompletionResult]::new('--verbose', '--verbose', [CompletionResultType]::ParameterName, 'Log connections; twice: log data too')
            [CompletionResult]::new('-q', '-q', [CompletionResultType]::ParameterName, 'Log errors only')
            [CompletionResult]::new('--quiet', '--quiet', [CompletionResultType]::ParameterName, 'Log errors only')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            break
        }
        'netkit;cert;issue' {
            [CompletionResult]::new('--ca', '--ca', [CompletionResultType]::ParameterName, 'The directory of the authority, with its cert.pem and key.pem')
            [CompletionResult]::new('--ca-passphrase-file', '--ca-passphrase-file', [CompletionResultType]::ParameterName, 'The file whose first line is the passphrase of the authority''s key')
            [CompletionResult]::new('--csr', '--csr', [CompletionResultType]::ParameterName, 'Issue it for this certificate request; names on the command line take the place of its own')
            [CompletionResult]::new('--key-type', '--key-type', [CompletionResultType]::ParameterName, 'The kind of key')
            [CompletionResult]::new('--days', '--days', [CompletionResultType]::ParameterName, 'Valid for so many days from now, or from --not-before where that is later [default: 365; an authority: 3650]')
            [CompletionResult]::new('--not-before', '--not-before', [CompletionResultType]::ParameterName, 'Valid from this moment on, such as 2027-01-31 or 2027-01-31T12:00:00Z')
            [CompletionResult]::new('--not-after', '--not-after', [CompletionResultType]::ParameterName, 'Valid until this moment, which may be over already: for tests')
            [CompletionResult]::new('--out', '--out', [CompletionResultType]::ParameterName, 'Write cert.pem and key.pem into this directory, which is made where it is missing')
            [CompletionResult]::new('--passphrase-file', '--passphrase-file', [CompletionResultType]::ParameterName, 'Encrypt the key with the passphrase in the first line of this file')
            [CompletionResult]::new('--log-format', '--log-format', [CompletionResultType]::ParameterName, 'How a line of the log is written')
            [CompletionResult]::new('--log-file', '--log-file', [CompletionResultType]::ParameterName, 'Log to a file instead of standard error; SIGHUP reopens it')
            [CompletionResult]::new('--syslog', '--syslog', [CompletionResultType]::ParameterName, 'Log to the system''s log, /dev/log, instead of standard error; PREFIX is our name there, by default netkit')
            [CompletionResult]::new('--client', '--client', [CompletionResultType]::ParameterName, 'For a client rather than a server')
            [CompletionResult]::new('--combined', '--combined', [CompletionResultType]::ParameterName, 'Write one file instead, combined.pem, with the key and the certificate')
            [CompletionResult]::new('--force', '--force', [CompletionResultType]::ParameterName, 'Overwrite files that are there already')
            [CompletionResult]::new('-v', '-v', [CompletionResultType]::ParameterName, 'Log connections; twice: log data too')
            [CompletionResult]::new('--verbose', '--verbose', [CompletionResultType]::ParameterName, 'Log connections; twice: log data too')
            [CompletionResult]::new('-q', '-q', [CompletionResultType]::ParameterName, 'Log errors only')
            [CompletionResult]::new('--quiet', '--quiet', [CompletionResultType]::ParameterName, 'Log errors only')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            break
        }
        'netkit;cert;show' {
            [CompletionResult]::new('--log-format', '--log-format', [CompletionResultType]::ParameterName, 'How a line of the log is written')
            [CompletionResult]::new('--log-file', '--log-file', [CompletionResultType]::ParameterName, 'Log to a file instead of standard error; SIGHUP reopens it')
            [CompletionResult]::new('--syslog', '--syslog', [CompletionResultType]::ParameterName, 'Log to the system''s log, /dev/log, instead of standard error; PREFIX is our name there, by default netkit')
            [CompletionResult]::new('--json', '--json', [CompletionResultType]::ParameterName, 'Print the same as JSON')
            [CompletionResult]::new('--pem', '--pem', [CompletionResultType]::ParameterName, 'Print the certificates themselves, as PEM')
            [CompletionResult]::new('-v', '-v', [CompletionResultType]::ParameterName, 'Log connections; twice: log data too')
            [CompletionResult]::new('--verbose', '--verbose', [CompletionResultType]::ParameterName, 'Log connections; twice: log data too')
            [CompletionResult]::new('-q', '-q', [CompletionResultType]::ParameterName, 'Log errors only')
            [CompletionResult]::new('--quiet', '--quiet', [CompletionResultType]::ParameterName, 'Log errors only')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            break
        }
        'netkit;cert;trust' {
            [CompletionResult]::new('--log-format', '--log-format', [CompletionResultType]::ParameterName, 'How a line of the log is written')
            [CompletionResult]::new('--log-file', '--log-file', [CompletionResultType]::ParameterName, 'Log to a file instead of standard error; SIGHUP reopens it')
            [CompletionResult]::new('--syslog', '--syslog', [CompletionResultType]::ParameterName, 'Log to the system''s log, /dev/log, instead of standard error; PREFIX is our name there, by default netkit')
            [CompletionResult]::new('-v', '-v', [CompletionResultType]::ParameterName, 'Log connections; twice: log data too')
            [CompletionResult]::new('--verbose', '--verbose', [CompletionResultType]::ParameterName, 'Log connections; twice: log data too')
            [CompletionResult]::new('-q', '-q', [CompletionResultType]::ParameterName, 'Log errors only')
            [CompletionResult]::new('--quiet', '--quiet', [CompletionResultType]::ParameterName, 'Log errors only')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            break
        }
        'netkit;cert;help' {
            [CompletionResult]::new('self-signed', 'self-signed', [CompletionResultType]::ParameterValue, 'Make a certificate that vouches for itself, and its key')
            [CompletionResult]::new('ca', 'ca', [CompletionResultType]::ParameterValue, 'Make an authority, which can issue certificates')
            [CompletionResult]::new('issue', 'issue', [CompletionResultType]::ParameterValue, 'Issue a certificate of an authority')
            [CompletionResult]::new('show', 'show', [CompletionResultType]::ParameterValue, 'Show the certificates of a file, or those of a server and whether it is to be believed')
            [CompletionResult]::new('trust', 'trust', [CompletionResultType]::ParameterValue, 'Print where netkit''s own authority is, and how to hand it to curl; it is made where there is none yet')
            [CompletionResult]::new('help', 'help', [CompletionResultType]::ParameterValue, 'Print this message or the help of the given subcommand(s)')
            break
        }
        'netkit;cert;help;self-signed' {
            break
        }
        'netkit;cert;help;ca' {
            break
        }
        'netkit;cert;help;issue' {
            break
        }
        'netkit;cert;help;show' {
            break
        }
        'netkit;cert;help;trust' {
            break
        }
        'netkit;cert;help;help' {
            break
        }
        'netkit;finger' {
            [CompletionResult]::new('-p', '-p', [CompletionResultType]::ParameterName, 'The port of hosts that are named without one')
            [CompletionResult]::new('--port', '--port', [CompletionResultType]::ParameterName, 'The port of hosts that are named without one')
            [CompletionResult]::new('-t', '-t', [CompletionResultType]::ParameterName, 'Give up on a server that has not answered in full by then')
            [CompletionResult]::new('--timeout', '--timeout', [CompletionResultType]::ParameterName, 'Give up on a server that has not answered in full by then')
            [CompletionResult]::new('-e', '-e', [CompletionResultType]::ParameterName, 'Ask here, whatever host is named: what is asked goes there as it stands')
            [CompletionResult]::new('--endpoint', '--endpoint', [CompletionResultType]::ParameterName, 'Ask here, whatever host is named: what is asked goes there as it stands')
            [CompletionResult]::new('--log-format', '--log-format', [CompletionResultType]::ParameterName, 'How a line of the log is written')
            [CompletionResult]::new('--log-file', '--log-file', [CompletionResultType]::ParameterName, 'Log to a file instead of standard error; SIGHUP reopens it')
            [CompletionResult]::new('--syslog', '--syslog', [CompletionResultType]::ParameterName, 'Log to the system''s log, /dev/log, instead of standard error; PREFIX is our name there, by default netkit')
            [CompletionResult]::new('-l', '-l', [CompletionResultType]::ParameterName, 'Ask for more than usual (RFC 1288: /W)')
            [CompletionResult]::new('--long', '--long', [CompletionResultType]::ParameterName, 'Ask for more than usual (RFC 1288: /W)')
            [CompletionResult]::new('-v', '-v', [CompletionResultType]::ParameterName, 'Log connections; twice: log data too')
            [CompletionResult]::new('--verbose', '--verbose', [CompletionResultType]::ParameterName, 'Log connections; twice: log data too')
            [CompletionResult]::new('-q', '-q', [CompletionResultType]::ParameterName, 'Log errors only')
            [CompletionResult]::new('--quiet', '--quiet', [CompletionResultType]::ParameterName, 'Log errors only')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            break
        }
        'netkit;run' {
            [CompletionResult]::new('--with', '--with', [CompletionResultType]::ParameterName, 'A server to start beside a command: NAME=''serve PROTOCOL ENDPOINT...'' or NAME=''relay ...'', with any of their flags')
            [CompletionResult]::new('--filter', '--filter', [CompletionResultType]::ParameterName, 'Play only scripts whose path matches this regex; a part of a name is one')
            [CompletionResult]::new('-j', '-j', [CompletionResultType]::ParameterName, 'How many scripts are played at once')
            [CompletionResult]::new('--jobs', '--jobs', [CompletionResultType]::ParameterName, 'How many scripts are played at once')
            [CompletionResult]::new('--junit', '--junit', [CompletionResultType]::ParameterName, 'Write a report as JUnit''s XML as well; the file appears whole')
            [CompletionResult]::new('--log-format', '--log-format', [CompletionResultType]::ParameterName, 'How a line of the log is written')
            [CompletionResult]::new('--log-file', '--log-file', [CompletionResultType]::ParameterName, 'Log to a file instead of standard error; SIGHUP reopens it')
            [CompletionResult]::new('--syslog', '--syslog', [CompletionResultType]::ParameterName, 'Log to the system''s log, /dev/log, instead of standard error; PREFIX is our name there, by default netkit')
            [CompletionResult]::new('--tap', '--tap', [CompletionResultType]::ParameterName, 'Report as TAP, version 14')
            [CompletionResult]::new('--json', '--json', [CompletionResultType]::ParameterName, 'Report as JSON, one object when all have been played')
            [CompletionResult]::new('--keep', '--keep', [CompletionResultType]::ParameterName, 'Keep the directory of a script that failed; the report says where it is')
            [CompletionResult]::new('-v', '-v', [CompletionResultType]::ParameterName, 'Log connections; twice: log data too')
            [CompletionResult]::new('--verbose', '--verbose', [CompletionResultType]::ParameterName, 'Log connections; twice: log data too')
            [CompletionResult]::new('-q', '-q', [CompletionResultType]::ParameterName, 'Log errors only')
            [CompletionResult]::new('--quiet', '--quiet', [CompletionResultType]::ParameterName, 'Log errors only')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            break
        }
        'netkit;wait' {
            [CompletionResult]::new('-t', '-t', [CompletionResultType]::ParameterName, 'Give up after so long, with status 4')
            [CompletionResult]::new('--timeout', '--timeout', [CompletionResultType]::ParameterName, 'Give up after so long, with status 4')
            [CompletionResult]::new('--attempt-timeout', '--attempt-timeout', [CompletionResultType]::ParameterName, 'The limit on one attempt; one that is not answered by then is followed by the next')
            [CompletionResult]::new('-i', '-i', [CompletionResultType]::ParameterName, 'The longest wait between two attempts')
            [CompletionResult]::new('--interval', '--interval', [CompletionResultType]::ParameterName, 'The longest wait between two attempts')
            [CompletionResult]::new('--stable', '--stable', [CompletionResultType]::ParameterName, 'Wait until every attempt has succeeded for so long')
            [CompletionResult]::new('--send', '--send', [CompletionResultType]::ParameterName, 'Send TEXT on each connection; \r \n \t \0 \\ and \xHH are understood')
            [CompletionResult]::new('--expect', '--expect', [CompletionResultType]::ParameterName, 'What comes has to hold TEXT, escapes as with --send')
            [CompletionResult]::new('--log-format', '--log-format', [CompletionResultType]::ParameterName, 'How a line of the log is written')
            [CompletionResult]::new('--log-file', '--log-file', [CompletionResultType]::ParameterName, 'Log to a file instead of standard error; SIGHUP reopens it')
            [CompletionResult]::new('--syslog', '--syslog', [CompletionResultType]::ParameterName, 'Log to the system''s log, /dev/log, instead of standard error; PREFIX is our name there, by default netkit')
            [CompletionResult]::new('--gone', '--gone', [CompletionResultType]::ParameterName, 'Wait until nobody accepts any more')
            [CompletionResult]::new('-v', '-v', [CompletionResultType]::ParameterName, 'Log connections; twice: log data too')
            [CompletionResult]::new('--verbose', '--verbose', [CompletionResultType]::ParameterName, 'Log connections; twice: log data too')
            [CompletionResult]::new('-q', '-q', [CompletionResultType]::ParameterName, 'Log errors only')
            [CompletionResult]::new('--quiet', '--quiet', [CompletionResultType]::ParameterName, 'Log errors only')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            break
        }
        'netkit;explain' {
            [CompletionResult]::new('--log-format', '--log-format', [CompletionResultType]::ParameterName, 'How a line of the log is written')
            [CompletionResult]::new('--log-file', '--log-file', [CompletionResultType]::ParameterName, 'Log to a file instead of standard error; SIGHUP reopens it')
            [CompletionResult]::new('--syslog', '--syslog', [CompletionResultType]::ParameterName, 'Log to the system''s log, /dev/log, instead of standard error; PREFIX is our name there, by default netkit')
            [CompletionResult]::new('--json', '--json', [CompletionResultType]::ParameterName, 'Print the same as JSON')
            [CompletionResult]::new('-v', '-v', [CompletionResultType]::ParameterName, 'Log connections; twice: log data too')
            [CompletionResult]::new('--verbose', '--verbose', [CompletionResultType]::ParameterName, 'Log connections; twice: log data too')
            [CompletionResult]::new('-q', '-q', [CompletionResultType]::ParameterName, 'Log errors only')
            [CompletionResult]::new('--quiet', '--quiet', [CompletionResultType]::ParameterName, 'Log errors only')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            break
        }
        'netkit;translate' {
            [CompletionResult]::new('--log-format', '--log-format', [CompletionResultType]::ParameterName, 'How a line of the log is written')
            [CompletionResult]::new('--log-file', '--log-file', [CompletionResultType]::ParameterName, 'Log to a file instead of standard error; SIGHUP reopens it')
            [CompletionResult]::new('--syslog', '--syslog', [CompletionResultType]::ParameterName, 'Log to the system''s log, /dev/log, instead of standard error; PREFIX is our name there, by default netkit')
            [CompletionResult]::new('-v', '-v', [CompletionResultType]::ParameterName, 'Log connections; twice: log data too')
            [CompletionResult]::new('--verbose', '--verbose', [CompletionResultType]::ParameterName, 'Log connections; twice: log data too')
            [CompletionResult]::new('-q', '-q', [CompletionResultType]::ParameterName, 'Log errors only')
            [CompletionResult]::new('--quiet', '--quiet', [CompletionResultType]::ParameterName, 'Log errors only')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            break
        }
        'netkit;completions' {
            [CompletionResult]::new('--log-format', '--log-format', [CompletionResultType]::ParameterName, 'How a line of the log is written')
            [CompletionResult]::new('--log-file', '--log-file', [CompletionResultType]::ParameterName, 'Log to a file instead of standard error; SIGHUP reopens it')
            [CompletionResult]::new('--syslog', '--syslog', [CompletionResultType]::ParameterName, 'Log to the system''s log, /dev/log, instead of standard error; PREFIX is our name there, by default netkit')
            [CompletionResult]::new('-v', '-v', [CompletionResultType]::ParameterName, 'Log connections; twice: log data too')
            [CompletionResult]::new('--verbose', '--verbose', [CompletionResultType]::ParameterName, 'Log connections; twice: log data too')
            [CompletionResult]::new('-q', '-q', [CompletionResultType]::ParameterName, 'Log errors only')
            [CompletionResult]::new('--quiet', '--quiet', [CompletionResultType]::ParameterName, 'Log errors only')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            break
        }
        'netkit;manual' {
            [CompletionResult]::new('--log-format', '--log-format', [CompletionResultType]::ParameterName, 'How a line of the log is written')
            [CompletionResult]::new('--log-file', '--log-file', [CompletionResultType]::ParameterName, 'Log to a file instead of standard error; SIGHUP reopens it')
            [CompletionResult]::new('--syslog', '--syslog', [CompletionResultType]::ParameterName, 'Log to the system''s log, /dev/log, instead of standard error; PREFIX is our name there, by default netkit')
            [CompletionResult]::new('-v', '-v', [CompletionResultType]::ParameterName, 'Log connections; twice: log data too')
            [CompletionResult]::new('--verbose', '--verbose', [CompletionResultType]::ParameterName, 'Log connections; twice: log data too')
            [CompletionResult]::new('-q', '-q', [CompletionResultType]::ParameterName, 'Log errors only')
            [CompletionResult]::new('--quiet', '--quiet', [CompletionResultType]::ParameterName, 'Log errors only')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            break
        }
        'netkit;help' {
            [CompletionResult]::new('serve', 'serve', [CompletionResultType]::ParameterValue, 'Run a built-in protocol on one or more server endpoints')
            [CompletionResult]::new('connect', 'connect', [CompletionResultType]::ParameterValue, 'Wire a client endpoint to stdin/stdout')
            [CompletionResult]::new('listen', 'listen', [CompletionResultType]::ParameterValue, 'Accept on a server endpoint and wire it to stdin/stdout')
            [CompletionResult]::new('relay', 'relay', [CompletionResultType]::ParameterValue, 'Forward every accepted connection to a client endpoint')
            [CompletionResult]::new('cert', 'cert', [CompletionResultType]::ParameterValue, 'Make certificates and keys, and look at them')
            [CompletionResult]::new('finger', 'finger', [CompletionResultType]::ParameterValue, 'Query a finger server')
            [CompletionResult]::new('run', 'run', [CompletionResultType]::ParameterValue, 'Play scripts that test servers and clients, or run a command beside servers')
            [CompletionResult]::new('wait', 'wait', [CompletionResultType]::ParameterValue, 'Return once every endpoint accepts a connection, and then run a command')
            [CompletionResult]::new('explain', 'explain', [CompletionResultType]::ParameterValue, 'Show how an endpoint string is read, as client and as server')
            [CompletionResult]::new('translate', 'translate', [CompletionResultType]::ParameterValue, 'Print the netkit line that does what a line of nc, ncat, socat, openssl or stunnel does')
            [CompletionResult]::new('completions', 'completions', [CompletionResultType]::ParameterValue, 'Print the completion script for a shell')
            [CompletionResult]::new('manual', 'manual', [CompletionResultType]::ParameterValue, 'Write the manual pages into a directory')
            [CompletionResult]::new('help', 'help', [CompletionResultType]::ParameterValue, 'Print this message or the help of the given subcommand(s)')
            break
        }
        'netkit;help;serve' {
            break
        }
        'netkit;help;connect' {
            break
        }
        'netkit;help;listen' {
            break
        }
        'netkit;help;relay' {
            break
        }
        'netkit;help;cert' {
            [CompletionResult]::new('self-signed', 'self-signed', [CompletionResultType]::ParameterValue, 'Make a certificate that vouches for itself, and its key')
            [CompletionResult]::new('ca', 'ca', [CompletionResultType]::ParameterValue, 'Make an authority, which can issue certificates')
            [CompletionResult]::new('issue', 'issue', [CompletionResultType]::ParameterValue, 'Issue a certificate of an authority')
            [CompletionResult]::new('show', 'show', [CompletionResultType]::ParameterValue, 'Show the certificates of a file, or those of a server and whether it is to be believed')
            [CompletionResult]::new('trust', 'trust', [CompletionResultType]::ParameterValue, 'Print where netkit''s own authority is, and how to hand it to curl; it is made where there is none yet')
            break
        }
        'netkit;help;cert;self-signed' {
            break
        }
        'netkit;help;cert;ca' {
            break
        }
        'netkit;help;cert;issue' {
            break
        }
        'netkit;help;cert;show' {
            break
        }
        'netkit;help;cert;trust' {
            break
        }
        'netkit;help;finger' {
            break
        }
        'netkit;help;run' {
            break
        }
        'netkit;help;wait' {
            break
        }
        'netkit;help;explain' {
            break
        }
        'netkit;help;translate' {
            break
        }
        'netkit;help;completions' {
            break
        }
        'netkit;help;manual' {
            break
        }
        'netkit;help;help' {
            break
        }
    })

    $completions.Where{ $_.CompletionText -like "$wordToComplete*" } |
        Sort-Object -Property ListItemText
}
