<?php
// A name server in a process of its own.

/** What it says of a name: its IPv4 addresses; null is nothing at all. */
function known(string $name): ?array
{
    switch ($name) {
        case 'two.example':
            return ['127.0.0.2', '127.0.0.3'];
        case 'late.example':
        case '3late.example':
            usleep(100000);
            return ['127.0.0.1'];
        default:
            return str_starts_with($name, 'silent') ? null : [];
    }
}

function answer(string $question): ?string
{
    $end = strpos($question, "\0", 12);
    $name = '';
    for ($at = 12; $at < $end; $at += 1 + ord($question[$at])) {
        $name .= ($name === '' ? '' : '.') . substr($question, $at + 1, ord($question[$at]));
    }
    $addresses = known($name);
    if ($addresses === null) {
        return null;
    }
    $is_unknown = $addresses === [];
    if (unpack('n', $question, $end + 1)[1] !== 1) {
        $addresses = [];
    }
    $answers = array_map(fn ($ip) => pack('nnnNn', 0xC00C, 1, 1, 60, 4) . inet_pton($ip), $addresses);
    $head = substr($question, 0, 2) . pack('n5', $is_unknown ? 0x8183 : 0x8180, 1, count($answers), 0, 0);
    return $head . substr($question, 12, $end - 7) . implode($answers);
}

/** Begins it; its process. */
function name_server(): int
{
    $socket = stream_socket_server('udp://127.0.0.1:53', $number, $text, STREAM_SERVER_BIND);
    $child = pcntl_fork();
    if ($child !== 0) {
        return $child;
    }
    while (($question = stream_socket_recvfrom($socket, 512, 0, $peer)) !== false) {
        $answer = answer($question);
        $answer !== null && stream_socket_sendto($socket, $answer, 0, $peer);
    }
    exit;
}
