<?php
// Addresses that stock PHP makes something else of.
require __DIR__ . '/../report.php';
table(array_map(fn (string $address) => function () use ($address) {
    return [is_resource(@stream_socket_server($address, $number, $text)), $text];
}, [
    'a sign' => 'tcp://127.0.0.1:+0',
    'a blank' => 'tcp://127.0.0.1: 0',
    'IPv6 without brackets' => 'tcp://::1:80',
    'a transport of one letter' => 'a://127.0.0.1:0',
    'a transport with one slash' => 'tcp:/127.0.0.1:0',
    'an abstract name over 108' => "unix://\0" . str_repeat('long', 30),
    'a NUL within' => 'unix://' . socket_path() . "\0more",
]));
say(fsockopen('::1', 1, $number, $text, 1));
