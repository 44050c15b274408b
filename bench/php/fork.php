<?php
// The manual's loop, and a process for each connection: php fork.php ADDRESS.
$context = stream_context_create(['socket' => ['backlog' => 4096]]);
$flags = STREAM_SERVER_BIND | STREAM_SERVER_LISTEN;
$server = stream_socket_server("tcp://$argv[1]", $errno, $errstr, $flags, $context);
if (!$server) {
    fwrite(STDERR, "cannot listen on $argv[1]: $errstr ($errno)\n");
    exit(1);
}
pcntl_signal(SIGCHLD, SIG_IGN);
while (true) {
    $connection = @stream_socket_accept($server, -1);
    if ($connection && pcntl_fork() === 0) {
        fclose($server);
        while (($line = fgets($connection)) !== false) {
            fwrite($connection, $line);
        }
        exit(0);
    }
}
