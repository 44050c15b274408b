<?php
// The peer of an unnamed unix client: in stock PHP its name is unused memory, empty or not.
require __DIR__ . '/../report.php';
$path = socket_path();
$listener = stream_socket_server("unix://$path");
for ($round = 0; $round < 3; $round++) {
    $clients[] = stream_socket_client("unix://$path");
    $served[] = stream_socket_accept($listener, 5, $peer);
    say($peer === '');
}
