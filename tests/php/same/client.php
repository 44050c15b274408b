<?php
// Section 4: timeouts, flags and errors of clients.
require __DIR__ . '/../report.php';
$listener = stream_socket_server('tcp://127.0.0.1:0');
$address = 'tcp://' . stream_socket_get_name($listener, false);
[, $port] = explode(':', stream_socket_get_name($listener, false));
// One whose backlog is full: a connection more has no answer.
$full = stream_socket_server('tcp://127.0.0.1:0', $number, $text, 12,
    stream_context_create(['socket' => ['backlog' => 0]]));
$unanswered = 'tcp://' . stream_socket_get_name($full, false);
$waiting = stream_socket_client($unanswered);

/** What a client gives, and how it failed. */
function client(string $address, mixed ...$more): array
{
    $client = stream_socket_client($address, $number, $text, ...$more);
    return [is_resource($client), $number, $text];
}

/** The same, and whether it took at least so many milliseconds, and at most two seconds more. */
function timed(int $least, string $address, float $timeout): array
{
    $start = hrtime(true);
    $told = client($address, $timeout);
    $took = (hrtime(true) - $start) / 1e6;
    return [...$told, $took >= $least && $took < $least + 2000];
}

function with(array $options): array
{
    return [1, STREAM_CLIENT_CONNECT, stream_context_create(['socket' => $options])];
}
$begun = STREAM_CLIENT_ASYNC_CONNECT;
table([
    'timeout 0' => fn () => client($address, 0),
    'timeout 0.0009' => fn () => client($address, 0.0009),
    'timeout null' => fn () => client($address, null),
    'timeout -1' => fn () => client($address, -1),
    'timeout 1e300' => fn () => client($address, 1e300),
    'timeout NAN' => fn () => client($address, NAN),
    'timeout INF' => fn () => client($address, INF),
    'no answer within 0' => fn () => timed(0, $unanswered, 0),
    'no answer within 0.1' => fn () => timed(100, $unanswered, 0.1),
    'refused' => fn () => client('tcp://127.0.0.1:1'),
    'refused by IPv6' => fn () => client('tcp://[::1]:1'),
    'no route for a broadcast' => fn () => client('udp://255.255.255.255:9'),
    'a broadcast without the option' => fn () => client('udp://127.255.255.255:9'),
    'a broadcast' => fn () => client('udp://127.255.255.255:9', ...with(['so_broadcast' => true])),
    'unix: none' => fn () => client('unix:///nonexistent/socket'),
    'unix: a file' => fn () => client('unix://' . __FILE__),
    'udg: none' => fn () => client('udg:///nonexistent/socket'),
    'flags 0' => fn () => client($address, 1, 0),
    'without the default context' => fn () => client($address, 1, STREAM_CLIENT_CONNECT | 16),
    'bindto' => fn () => client($address, ...with(['bindto' => '127.0.0.1:0'])),
    'bindto any' => fn () => client($address, ...with(['bindto' => '0:0'])),
    'bindto null' => fn () => client($address, ...with(['bindto' => null])),
    'bindto 7' => fn () => client($address, ...with(['bindto' => 7])),
    'fsockopen' => fn () => is_resource(fsockopen('127.0.0.1', $port)),
    'fsockopen, port in the address' => fn () => is_resource(fsockopen("127.0.0.1:$port")),
    'fsockopen, with a transport' => fn () => is_resource(fsockopen('tcp://127.0.0.1', $port, $number, $text, 1)),
    'fsockopen, no time limit' => fn () => is_resource(fsockopen('127.0.0.1', $port, $number, $text, -1)),
    'fsockopen, no port' => fn () => [fsockopen('127.0.0.1', -1, $number, $text), $number, $text],
    'fsockopen, refused' => fn () => [fsockopen('127.0.0.1', 1, $number, $text, 1), $number, $text],
    'fsockopen, IPv6' => fn () => [fsockopen('[::1]', 1, $number, $text, 1), $number, $text],
    'begun: is blocking' => fn () => stream_get_meta_data(
        stream_socket_client($address, $number, $text, 1, $begun))['blocked'],
    'begun: refused' => function () use ($begun) {
        $stream = stream_socket_client('tcp://127.0.0.1:1', $number, $text, 1, $begun);
        $read = $write = $except = [$stream];
        usleep(20000);
        $ready = stream_select($read, $write, $except, 1);
        return [$number, $ready, count($read), count($write), count($except),
            stream_socket_get_name($stream, true), fread($stream, 5), feof($stream)];
    },
    'begun: unix' => fn () => client('unix:///nonexistent/socket', 1, $begun),
    'begun: a write' => fn () => fwrite(stream_socket_client($address, $number, $text, 1, $begun), 'early'),
]);
