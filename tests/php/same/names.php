<?php
// Sections 6, 7 and 8: names, what goes around the buffer, pairs and shutdown.
require __DIR__ . '/../report.php';
[$client, $served, $listener] = connected();
[$one, $other] = stream_socket_pair(STREAM_PF_UNIX, STREAM_SOCK_STREAM, 0);
$udp = stream_socket_server('udp://127.0.0.1:0', $number, $text, STREAM_SERVER_BIND);
$udp_address = stream_socket_get_name($udp, false);
$sender = stream_socket_client("udp://$udp_address");
$path = socket_path();
$udg = stream_socket_server("udg://$path", $number, $text, STREAM_SERVER_BIND);
$file = fopen(__FILE__, 'r');
$both = fn (mixed $stream) => [stream_socket_get_name($stream, false), stream_socket_get_name($stream, true)];
$received = function (mixed $stream, int $length, int $flags = 0): array {
    $peer = 'set to null';
    return [stream_socket_recvfrom($stream, $length, $flags, $peer), $peer === '' ? '' : is_string($peer)];
};
table([
    'names of a listener' => fn () => $both($listener),
    'names of a pair' => fn () => $both($one),
    'names of a file' => fn () => $both($file),
    'names of udp' => fn () => $both($udp),
    'names of udg' => fn () => $both($udg),
    'names of a closed stream' => fn () => $both((function () {
        $stream = connected()[0];
        fclose($stream);
        return $stream;
    })()),
    'a peer that has closed' => function () use ($listener) {
        $client = stream_socket_client('tcp://' . stream_socket_get_name($listener, false));
        $served = stream_socket_accept($listener, 1);
        fclose($client);
        return [await($served), is_string(stream_socket_get_name($served, true))];
    },
    'recvfrom: 0 bytes' => fn () => stream_socket_recvfrom($client, 0),
    'recvfrom: below 0' => fn () => stream_socket_recvfrom($client, -1),
    'recvfrom: a file' => fn () => $received($file, 5),
    'recvfrom: not blocking' => fn () => [stream_set_blocking($client, false), $received($client, 5)],
    'recvfrom: the buffer is passed by' => function () use ($client, $served) {
        stream_set_blocking($client, true);
        fwrite($served, "one\ntwo");
        $line = fgets($client);
        fwrite($served, 'past');
        await(stream_socket_pair(1, 1, 0)[0], 0.02);
        return [$line, stream_socket_recvfrom($client, 9), fread($client, 3)];
    },
    'recvfrom: peek' => fn () => [fwrite($served, 'peek'), await($client), $received($client, 2, STREAM_PEEK),
        $received($client, 9, 1024)],
    'recvfrom: a pair' => fn () => [fwrite($other, 'pair'), $received($one, 9)],
    'recvfrom: urgent, none' => fn () => $received($client, 5, STREAM_OOB),
    'recvfrom: urgent' => function () use ($client, $served, $received) {
        stream_socket_sendto($served, '!', STREAM_OOB);
        $read = $write = null;
        $except = [$client];
        return [stream_select($read, $write, $except, 1), $received($client, 5, STREAM_OOB)];
    },
    'recvfrom: udp' => fn () => [fwrite($sender, 'datagram'), $received($udp, 99)],
    'recvfrom: the end' => fn () => [stream_socket_shutdown($other, STREAM_SHUT_WR), $received($one, 9), feof($one)],
    'sendto: no address' => fn () => stream_socket_sendto($udp, 'x'),
    'sendto: with a transport' => fn () => stream_socket_sendto($udp, 'x', 0, "udp://$udp_address"),
    'sendto: a path' => fn () => stream_socket_sendto($udg, 'x', 0, $path),
    'sendto: no port' => fn () => stream_socket_sendto($udp, 'x', 0, '127.0.0.1'),
    'sendto: bad IPv6' => fn () => stream_socket_sendto($udp, 'x', 0, '[::1'),
    'sendto: the other family' => fn () => stream_socket_sendto($udp, 'x', 0, '[::1]:9'),
    'sendto: itself' => fn () => [stream_socket_sendto($udp, 'me', 0, $udp_address), $received($udp, 9)],
    'sendto: a name' => fn () => [stream_socket_sendto($udp, 'me', 0,
        str_replace('127.0.0.1', 'localhost', $udp_address)), await($udp) ? $received($udp, 9) : null],
    'sendto: empty' => fn () => [stream_socket_sendto($udp, '', 0, $udp_address), $received($udp, 9)],
    'sendto: too long' => fn () => stream_socket_sendto($udp, str_repeat('x', 70000), 0, $udp_address),
    'sendto: a file' => fn () => stream_socket_sendto($file, 'x'),
    'sendto: connected' => fn () => [stream_socket_sendto($served, 'tcp', 0, $udp_address), fread($client, 9)],
    'sendto: empty, connected' => fn () => stream_socket_sendto($served, ''),
    'pair: kinds' => fn () => array_map(fn (int $kind) => array_map(is_resource(...),
        stream_socket_pair(STREAM_PF_UNIX, $kind, 0)), [1, 2, 5]),
    'pair: IPv4' => fn () => stream_socket_pair(STREAM_PF_INET, STREAM_SOCK_STREAM, 0),
    'pair: bytes' => function () {
        [$one, $other] = stream_socket_pair(STREAM_PF_UNIX, STREAM_SOCK_STREAM, 0);
        return [fwrite($one, "over\n"), fgets($other), stream_get_meta_data($other)];
    },
    'shutdown: modes' => fn () => stream_socket_shutdown($client, 3),
    'shutdown: mode -1' => fn () => stream_socket_shutdown($client, -1),
    'shutdown: a file' => fn () => stream_socket_shutdown($file, STREAM_SHUT_WR),
    'shutdown: unconnected' => fn () => stream_socket_shutdown($udp, STREAM_SHUT_WR),
    'shutdown: reading' => fn () => [fwrite($served, 'here'), stream_socket_shutdown($client, STREAM_SHUT_RD),
        fread($client, 5), fread($client, 5), feof($client), fwrite($client, 'still')],
    'shutdown: writing' => fn () => [fread($served, 9), stream_socket_shutdown($served, STREAM_SHUT_WR),
        fwrite($served, 'x')],
]);
