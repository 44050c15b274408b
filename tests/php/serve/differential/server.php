<?php
// A server of one handler: php server.php HANDLER one|many. With `one` by stock PHP, one client at a
// time; with `many` under stream_socket_serve.
$handler = (require __DIR__ . '/handlers.php')[$argv[1]];
ini_set('display_errors', '0');
error_reporting(E_ALL & ~E_NOTICE);
$server = stream_socket_server('tcp://127.0.0.1:0');
echo stream_socket_get_name($server, false), "\n";
if ($argv[2] === 'many') {
    stream_socket_serve($server, $handler, ['drain' => 1]);
} else {
    while ($connection = stream_socket_accept($server, -1)) {
        $handler($connection);
        fclose($connection);
    }
}
