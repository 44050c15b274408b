<?php
// The UDP daytime client of PHP's manual, page stream_socket_client: php udp_client.php ADDRESS.
$fp = stream_socket_client("udp://$argv[1]", $errno, $errstr);
if (!$fp) {
    echo "ERROR: $errno - $errstr\n";
    exit(1);
}
fwrite($fp, "\n");
echo fread($fp, 26);
fclose($fp);
