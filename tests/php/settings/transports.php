<?php
// Which streams the extension serves: its own have a section of meta data more.
require __DIR__ . '/../report.php';

function note(string $name, mixed $stream): void
{
    if (isset(stream_get_meta_data($stream)['socket'])) {
        echo $name, ' ';
    }
}

foreach (['tcp' => false, 'udp' => true, 'unix' => false, 'udg' => true, 'mptcp' => false] as $transport => $datagrams) {
    if (!in_array($transport, stream_get_transports(), true)) {
        continue;
    }
    $target = in_array($transport, ['unix', 'udg'], true) ? socket_path() : '127.0.0.1:0';
    $flags = STREAM_SERVER_BIND | ($datagrams ? 0 : STREAM_SERVER_LISTEN);
    $listener = stream_socket_server("$transport://$target", $number, $text, $flags);
    note("$transport-server", $listener);
    $client = stream_socket_client("$transport://" . stream_socket_get_name($listener, false));
    note("$transport-client", $client);
    if (!$datagrams) {
        note("$transport-accepted", stream_socket_accept($listener, 5));
    }
    @unlink($target);
}
