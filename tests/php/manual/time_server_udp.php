<?php
// The UDP time server of PHP's manual, page stream_socket_server: php time_server_udp.php ADDRESS.
// Stock PHP refuses to accept from it.
$socket = stream_socket_server("udp://$argv[1]", $errno, $errstr, STREAM_SERVER_BIND);
if (!$socket) {
    echo "$errstr ($errno)\n";
    exit(1);
}
echo stream_socket_get_name($socket, false), "\n";
while ($conn = stream_socket_accept($socket)) {
    fputs($conn, date("D M j H:i:s Y\r\n"));
    fclose($conn);
}
fclose($socket);
