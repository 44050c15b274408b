<?php
// A name server that is there and says nothing: php slow.php, in a network of its own.
error_reporting(0);
$silent = stream_socket_server('udp://127.0.0.1:53', $number, $text, STREAM_SERVER_BIND);
$began = microtime(true);
$client = stream_socket_client('tcp://slow.example:1', $number, $text, 0.2);
$took = microtime(true) - $began;
echo $client === false ? 'failed' : 'connected', ", $number, $text, ", $took < 1 ? 'in time' : 'late', "\n";
// It had been asked.
echo strlen(stream_socket_recvfrom($silent, 512)) > 0 ? "asked\n" : "not asked\n";
