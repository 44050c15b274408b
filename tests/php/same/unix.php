<?php
// Names of unix sockets that both take, and the files that stay.
require __DIR__ . '/../report.php';
$path = socket_path();
$padded = str_pad(dirname($path) . '/', 107, 'p');
register_shutdown_function(fn () => @unlink($padded));
$umask = umask(027);
$server = stream_socket_server("unix://$path");
umask($umask);
$client = stream_socket_client("unix://$path");
$served = stream_socket_accept($server, 5);
table([
    'the name' => fn () => stream_socket_get_name($server, false),
    'its peer at the client' => fn () => stream_socket_get_name($client, true),
    'its name at the accepted end' => fn () => stream_socket_get_name($served, false),
    'the client has none' => fn () => stream_socket_get_name($client, false),
    'the mode' => fn () => decoct(stat($path)['mode']),
    'nothing is decoded' => fn () => @stream_socket_client('unix://' . str_replace('t', '%74', $path)),
    'bytes' => fn () => [fwrite($client, "one\ntwo"), fgets($served), fread($served, 3)],
    'nodelay means nothing' => fn () => is_resource(stream_socket_client("unix://$path", $number, $text, 1,
        STREAM_CLIENT_CONNECT, stream_context_create(['socket' => ['tcp_nodelay' => true]]))),
    'of the other kind' => fn () => [@stream_socket_client("udg://$path", $number, $text), $number, $text],
    'closed' => fn () => fclose($server),
    'the file stays' => fn () => [file_exists($path), @stream_socket_server("unix://$path")],
    'nobody listens' => fn () => [@stream_socket_client("unix://$path", $number, $text), $number, $text],
    'removed' => fn () => [unlink($path), is_resource(stream_socket_server("unix://$path"))],
    '107 bytes' => fn () => stream_socket_get_name(stream_socket_server("unix://$padded"), false) === $padded,
    'an abstract name of 108' => fn () => is_resource(stream_socket_server(
        str_pad("unix://\0stream_socket_test_" . getmypid(), 115, 'p'))),
    'no name' => fn () => is_resource(stream_socket_server('unix://')),
]);
