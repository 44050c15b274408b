<?php
// Serves so often and ends: php calls.php accept|lines COUNT. It begins when it is told to.
[, $what, $count] = $argv;
$server = stream_socket_server('tcp://127.0.0.1:0');
echo stream_socket_get_name($server, false), "\n";
fgets(STDIN);
if ($what === 'accept') {
    for (; $count > 0; $count--) {
        $client = stream_socket_accept($server);
        fwrite($client, "a line\n");
        fclose($client);
    }
} else {
    $client = stream_socket_accept($server);
    for (; $count > 0; $count--) {
        fwrite($client, fgets($client));
    }
}
