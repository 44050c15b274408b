<?php
// Section 3: flags, options and descriptors of servers. Why one failed is `differ/errno`.
require __DIR__ . '/../report.php';

function server(string $url, int $flags, mixed ...$context): mixed
{
    return stream_socket_server($url, $number, $text, $flags, ...$context);
}

function option(mixed $stream, int $level, int $name): mixed
{
    return socket_get_option(socket_import_stream($stream), $level, $name);
}

/** Whether what a call opens is closed in programs that PHP starts. */
function closed_on_exec(callable $open): array
{
    $before = scandir('/proc/self/fd');
    $streams = $open();
    $closed = [];
    foreach (array_diff(scandir('/proc/self/fd'), $before) as $number) {
        $flags = @file_get_contents("/proc/self/fdinfo/$number");
        if (preg_match('/flags:\s+(\d+)/', (string) $flags, $found) && str_starts_with((string)
            @readlink("/proc/self/fd/$number"), 'socket:')) {
            $closed[] = (octdec($found[1]) & 02000000) !== 0;
        }
    }
    return $closed;
}
$tcp = server('tcp://127.0.0.1:0', 12);
$udp = server('udp://127.0.0.1:0', STREAM_SERVER_BIND);
$bound = server('tcp://127.0.0.1:0', STREAM_SERVER_BIND);
$none = server('tcp://127.0.0.1:0', STREAM_SERVER_LISTEN);
$six = fn (mixed $only) => stream_context_create(['socket' => ['ipv6_v6only' => $only]]);
$path = socket_path();
table([
    'address is reused' => fn () => option($tcp, SOL_SOCKET, SO_REUSEADDR),
    'nothing else is' => fn () => [option($tcp, SOL_SOCKET, SO_KEEPALIVE), option($tcp, SOL_TCP, TCP_NODELAY),
        option($tcp, SOL_SOCKET, SO_REUSEPORT), option($udp, SOL_SOCKET, SO_BROADCAST)],
    'inherited by programs' => fn () => closed_on_exec(fn () => connected()),
    'bound: accept' => fn () => stream_socket_accept($bound, 0.01),
    'bound: a client' => fn () => @stream_socket_client('tcp://' . stream_socket_get_name($bound, false)),
    'bound: name' => fn () => stream_socket_get_name($bound, false),
    'no socket: name' => fn () => [stream_socket_get_name($none, false), stream_socket_get_name($none, true)],
    'no socket: reads' => fn () => [fread($none, 5), fgets($none), feof($none)],
    'no socket: writes' => fn () => fwrite($none, 'x'),
    'no socket: sendto' => fn () => stream_socket_sendto($none, 'x'),
    'no socket: recvfrom' => fn () => stream_socket_recvfrom($none, 5, 0, $peer),
    'no socket: shutdown' => fn () => stream_socket_shutdown($none, STREAM_SHUT_RDWR),
    'no socket: accept' => fn () => stream_socket_accept($none, 0),
    'no socket: set_timeout' => fn () => stream_set_timeout($none, 1),
    'no socket: select' => fn () => await($none, 0),
    'flags 0' => fn () => feof(server('tcp://127.0.0.1:0', 0)),
    'other bits' => fn () => is_resource(stream_socket_accept(server('tcp://127.0.0.1:0', 12 | 1024), 0) ?: $tcp),
    'without the default context' => fn () => is_resource(server('tcp://127.0.0.1:0', 12 | 16)),
    'a null context' => fn () => is_resource(server('tcp://127.0.0.1:0', 12, null)),
    'an array as context' => fn () => server('tcp://127.0.0.1:0', 12, []),
    'a stream as context' => fn () => server('tcp://127.0.0.1:0', 12, $tcp),
    'backlog -1' => fn () => is_resource(server('tcp://127.0.0.1:0', 12,
        stream_context_create(['socket' => ['backlog' => -1]]))),
    'v6only' => fn () => array_map(fn (mixed $only) => option(server('tcp://[::]:0', 12, $six($only)), 41, 26),
        [true, false, null]),
    'v6only of IPv4' => fn () => is_resource(server('tcp://127.0.0.1:0', 12, $six(true))),
    'broadcast' => fn () => option(server('udp://127.0.0.1:0', 4,
        stream_context_create(['socket' => ['so_broadcast' => true]])), SOL_SOCKET, SO_BROADCAST),
    'unknown options' => fn () => is_resource(server('tcp://127.0.0.1:0', 12,
        stream_context_create(['socket' => ['no_such' => 1]]))),
    'set on entry' => function () {
        $number = 'kept';
        stream_socket_server('tcp://127.0.0.1:0', $number, $text);
        return [$number, $text];
    },
    'udg with listen leaves a file' => fn () => [@server("udg://$path", 12), file_exists($path)],
]);
