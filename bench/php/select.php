<?php
// A loop of stream_select over all connections, in stock PHP: php select.php ADDRESS.
$context = stream_context_create(['socket' => ['backlog' => 4096]]);
$flags = STREAM_SERVER_BIND | STREAM_SERVER_LISTEN;
$server = stream_socket_server("tcp://$argv[1]", $errno, $errstr, $flags, $context);
if (!$server) {
    fwrite(STDERR, "cannot listen on $argv[1]: $errstr ($errno)\n");
    exit(1);
}
$streams = [$server];
while (true) {
    $readable = $streams;
    $none = null;
    stream_select($readable, $none, $none, null);
    foreach ($readable as $key => $stream) {
        if ($stream === $server) {
            $streams[] = stream_socket_accept($server, 0);
        } elseif (($line = fgets($stream)) === false) {
            fclose($stream);
            unset($streams[$key]);
        } else {
            fwrite($stream, $line);
        }
    }
}
