<?php
// A line for each client, or bytes without end, over TLS: php tls.php ADDRESS line|send CERTIFICATE.
$context = stream_context_create([
    'socket' => ['backlog' => 4096],
    'ssl' => ['local_cert' => $argv[3]],
]);
$flags = STREAM_SERVER_BIND | STREAM_SERVER_LISTEN;
$server = stream_socket_server("tls://$argv[1]", $errno, $errstr, $flags, $context);
if (!$server) {
    fwrite(STDERR, "cannot listen on $argv[1]: $errstr ($errno)\n");
    exit(1);
}
$chunk = str_repeat('x', 64 * 1024);
while (true) {
    // What came to see whether there is a server makes no handshake.
    $connection = @stream_socket_accept($server, -1);
    if (!$connection) {
        continue;
    }
    if ($argv[2] === 'line') {
        fwrite($connection, "The local time is 11/22/2026 10:06 pm\n");
    } else {
        while (@fwrite($connection, $chunk)) {
        }
    }
    fclose($connection);
}
