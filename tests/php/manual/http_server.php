<?php
// Answers every request with one page: php http_server.php ADDRESS.
$socket = stream_socket_server("tcp://$argv[1]", $errno, $errstr) or exit("$errstr ($errno)\n");
echo stream_socket_get_name($socket, false), "\n";
while ($conn = stream_socket_accept($socket)) {
    while (($line = fgets($conn)) !== false && rtrim($line) !== '') {
    }
    $page = "hello from PHP\n";
    fwrite($conn, "HTTP/1.0 200 OK\r\nContent-Length: " . strlen($page) . "\r\n\r\n$page");
    fclose($conn);
}
