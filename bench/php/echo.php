<?php
// One connection after the other, which is told what it says: php echo.php ADDRESS.
$server = stream_socket_server("tcp://$argv[1]", $errno, $errstr);
if (!$server) {
    fwrite(STDERR, "cannot listen on $argv[1]: $errstr ($errno)\n");
    exit(1);
}
while (true) {
    $connection = stream_socket_accept($server, -1);
    while ($connection && ($said = fread($connection, 8192)) !== false && $said !== '') {
        fwrite($connection, $said);
    }
}
