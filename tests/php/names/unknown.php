<?php
// What is said of names that have no address: php unknown.php, in a network of its own.
require 'server.php';
ini_set('display_errors', '0');
set_error_handler(fn (int $level, string $text) => print("$level $text\n"));

/** @return array{int, string} */
function tried(string $name): array
{
    stream_socket_client("tcp://$name:4000", $number, $text, 5);
    return [$number, $text];
}

$child = name_server();
$long = str_repeat('a', 64);
foreach (['none.example', '3none.example', 'none', 'user@none.example', "$long.example", 'a..b', '-'] as $name) {
    $told = function_exists('stream_socket_spawn')
        ? stream_socket_join(stream_socket_spawn(tried(...), $name))
        : tried($name);
    $told === tried($name) || print("not the same outside\n");
    echo json_encode($told), "\n";
}
$server = stream_socket_server('tcp://none.example:4000', $number, $text);
echo json_encode([$server, $number, $text]), "\n";
posix_kill($child, SIGKILL);
