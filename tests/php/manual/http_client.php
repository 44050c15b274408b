<?php
// The HTTP client of PHP's manual, page stream_socket_client: php http_client.php ADDRESS.
$fp = stream_socket_client("tcp://$argv[1]", $errno, $errstr, 30);
if (!$fp) {
    echo "$errstr ($errno)\n";
    exit(1);
}
fwrite($fp, "GET / HTTP/1.0\r\nHost: localhost\r\nAccept: */*\r\n\r\n");
while (!feof($fp)) {
    echo fgets($fp, 1024);
}
fclose($fp);
