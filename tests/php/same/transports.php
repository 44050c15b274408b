<?php
// Sections 2 and 14: the transports, and the functions of contexts.
require __DIR__ . '/../report.php';
$context = stream_context_create(['socket' => ['mark' => 1]]);
[$client, $served, $listener] = connected();
table([
    'transports' => fn () => array_values(array_intersect(stream_get_transports(), ['tcp', 'udp', 'unix', 'udg', 'ssl',
        'tls', 'tlsv1.0', 'tlsv1.1', 'tlsv1.2', 'tlsv1.3', 'sslv2', 'sslv3'])),
    'not two levels' => fn () => stream_context_create(['socket' => 1]),
    'a number as section' => fn () => is_resource(stream_context_create([7 => ['a' => 1]])),
    'a list as section' => fn () => stream_context_get_options(stream_context_create(['socket' => ['a', 'b']])),
    'set option' => fn () => [stream_context_set_option($context, 'socket', 'backlog', 7),
        stream_context_get_options($context)],
    'set option, no value' => fn () => stream_context_set_option($context, 'socket', 'backlog'),
    'set option, no name' => fn () => stream_context_set_option($context, 'socket'),
    'of a stream' => function () use ($context) {
        $server = stream_socket_server('tcp://127.0.0.1:0', $number, $text, 12, $context);
        return [stream_context_set_option($server, 'socket', 'mark', 2), stream_context_get_options($server),
            stream_context_get_options($context)];
    },
    'params' => fn () => [stream_context_set_params($context, ['options' => ['socket' => ['mark' => 3]]]),
        stream_context_get_params($context)],
    'bad params' => fn () => stream_context_set_params($context, ['options' => 1]),
    'a stream of a file' => fn () => stream_context_get_options(fopen(__FILE__, 'r')),
    'the default' => function () {
        stream_context_set_default(['socket' => ['mark' => 4]]);
        return stream_context_get_options(stream_context_get_default());
    },
    'the default is used' => function () {
        stream_context_set_default(['socket' => ['bindto' => 7]]);
        $server = stream_socket_server('tcp://127.0.0.1:0');
        $address = 'tcp://' . stream_socket_get_name($server, false);
        $told = [];
        foreach ([STREAM_CLIENT_CONNECT, STREAM_CLIENT_CONNECT | 16] as $flags) {
            $told[] = is_resource(stream_socket_client($address, $number, $text, 1, $flags));
            $told[] = $text;
        }
        $told[] = is_resource(stream_socket_client($address, $number, $text, 1, STREAM_CLIENT_CONNECT, null));
        $told[] = is_resource(stream_socket_client($address, $number, $text, 1, STREAM_CLIENT_CONNECT,
            stream_context_create()));
        return $told;
    },
]);
