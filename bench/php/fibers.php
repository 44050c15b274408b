<?php
// A Fiber for each connection, with the code that a single client would take: php fibers.php ADDRESS.
$context = stream_context_create(['socket' => ['backlog' => 4096]]);
$flags = STREAM_SERVER_BIND | STREAM_SERVER_LISTEN;
$server = stream_socket_server("tcp://$argv[1]", $errno, $errstr, $flags, $context);
if (!$server) {
    fwrite(STDERR, "cannot listen on $argv[1]: $errstr ($errno)\n");
    exit(1);
}
stream_socket_serve($server, function ($connection) {
    while (($line = fgets($connection)) !== false) {
        fwrite($connection, $line);
    }
}, ['max_connections' => 20000, 'read_timeout' => 3600]);
