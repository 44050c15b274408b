<?php
// The TCP time server of PHP's manual, page stream_socket_server: php time_server_tcp.php ADDRESS.
$socket = stream_socket_server("tcp://$argv[1]", $errno, $errstr);
if (!$socket) {
    echo "$errstr ($errno)\n";
    exit(1);
}
echo stream_socket_get_name($socket, false), "\n";
while ($conn = stream_socket_accept($socket)) {
    fputs($conn, 'The local time is ' . date('n/j/Y g:i a') . "\n");
    fclose($conn);
}
fclose($socket);
