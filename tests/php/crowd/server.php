<?php
// Says what it is told to everybody at once, by stream_select and nothing else: php server.php
// ADDRESS.
posix_setrlimit(POSIX_RLIMIT_NOFILE, ...array_fill(0, 2, (int) $argv[2]));
$context = stream_context_create(['socket' => ['backlog' => 4096]]);
$flags = STREAM_SERVER_BIND | STREAM_SERVER_LISTEN;
$server = stream_socket_server("tcp://$argv[1]", $errno, $errstr, $flags, $context)
    or exit("$errstr ($errno)\n");
echo stream_socket_get_name($server, false), "\n";
$streams = [$server];
$most = 0;
while (true) {
    $read = $streams;
    $none = null;
    if (stream_select($read, $none, $none, 30) === false) {
        exit("no more than $most\n");
    }
    foreach ($read as $key => $stream) {
        if ($stream === $server) {
            $streams[] = stream_socket_accept($server);
            $most = max($most, count($streams) - 1);
        } elseif (($said = fread($stream, 8192)) !== '' && $said !== false) {
            fwrite($stream, $said);
        } else {
            fclose($stream);
            unset($streams[$key]);
        }
    }
}
