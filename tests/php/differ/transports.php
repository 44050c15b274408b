<?php
// Transports that stock PHP has not.
require __DIR__ . '/../report.php';

/** A system without Multipath TCP has TCP in its place. */
function is_multipath(mixed $stream): bool
{
    $enabled = @file_get_contents('/proc/sys/net/mptcp/enabled');
    $protocol = socket_get_option(socket_import_stream($stream), SOL_SOCKET, 38);
    return $protocol === (trim((string) $enabled) === '1' ? 262 : 6);
}

table([
    'listed' => fn () => array_values(array_intersect(stream_get_transports(), ['mptcp', 'vsock', 'fd', 'systemd'])),
    'server' => fn () => stream_socket_server('mptcp://127.0.0.1:0'),
    'vsock' => fn () => stream_socket_client('vsock://local'),
    'fd' => fn () => stream_socket_server('fd://987'),
    'systemd' => fn () => stream_socket_server('systemd://web'),
]);
if (!in_array('mptcp', stream_get_transports(), true)) {
    exit;
}
table([
    'mptcp' => function () {
        [$client, $served, $listener] = connected('mptcp');
        fwrite($client, "question\n");
        fwrite($served, strrev(fgets($served)));
        fclose($served);
        return [is_multipath($listener), is_multipath($client), stream_get_contents($client)];
    },
    'mptcp to tcp' => function () {
        $listener = stream_socket_server('tcp://127.0.0.1:0');
        $address = stream_socket_get_name($listener, false);
        $client = stream_socket_client("mptcp://$address", $number, $text, 5);
        $served = stream_socket_accept($listener, 5, $peer);
        fwrite($served, 'falls back');
        fclose($served);
        return [fread($client, 20), $peer === stream_socket_get_name($client, false)];
    },
    'mptcp options' => function () {
        $context = stream_context_create(['socket' => ['tcp_nodelay' => true, 'bindto' => '127.0.0.1:0']]);
        $listener = stream_socket_server('mptcp://127.0.0.1:0', $number, $text, 12, $context);
        $address = stream_socket_get_name($listener, false);
        $clients = [
            stream_socket_client("mptcp://$address", $number, $text, 5, STREAM_CLIENT_CONNECT, $context),
            fsockopen("mptcp://$address", -1, $number, $text, 5),
        ];
        $served = stream_socket_accept($listener, 5);
        return array_map(fn ($stream) => socket_get_option(socket_import_stream($stream), SOL_TCP, TCP_NODELAY),
            [$clients[0], $clients[1], $served]);
    },
    'mptcp refused' => fn () => [@stream_socket_client('mptcp://127.0.0.1:1', $number, $text, 5), $number, $text],
    'mptcp taken' => function () {
        $listener = stream_socket_server('mptcp://127.0.0.1:0');
        $address = stream_socket_get_name($listener, false);
        return [@stream_socket_server("mptcp://$address", $number, $text), $number, $text];
    },
]);
