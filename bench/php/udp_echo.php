<?php
// The manual's UDP program, echoing: php udp_echo.php ADDRESS. PHP cuts datagrams at 8192 bytes.
$server = stream_socket_server("udp://$argv[1]", $errno, $errstr, STREAM_SERVER_BIND);
if (!$server) {
    fwrite(STDERR, "cannot bind $argv[1]: $errstr ($errno)\n");
    exit(1);
}
while (true) {
    $datagram = stream_socket_recvfrom($server, 2048, 0, $peer);
    stream_socket_sendto($server, $datagram, 0, $peer);
}
