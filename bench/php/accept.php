<?php
// The manual's first program for stream_socket_server, with a fixed line: php accept.php ADDRESS.
// The backlog is that of every server measured; PHP's own, 32, would make clients wait a second.
$context = stream_context_create(['socket' => ['backlog' => 4096]]);
$flags = STREAM_SERVER_BIND | STREAM_SERVER_LISTEN;
$server = stream_socket_server("tcp://$argv[1]", $errno, $errstr, $flags, $context);
if (!$server) {
    fwrite(STDERR, "cannot listen on $argv[1]: $errstr ($errno)\n");
    exit(1);
}
while (true) {
    $connection = stream_socket_accept($server, -1);
    if ($connection) {
        fwrite($connection, "The local time is 11/22/2026 10:06 pm\n");
        fclose($connection);
    }
}
