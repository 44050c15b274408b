<?php
// Sockets, pipes, files and duplicates in one call; keys, times and signals.
require __DIR__ . '/../report.php';
[$client, $served, $listener] = connected();
$pipes = stream_socket_pair(STREAM_PF_UNIX, STREAM_SOCK_STREAM, 0);
$file = fopen(__FILE__, 'r');
function look(?array $read, ?array $write = null, ?array $except = null, int $microseconds = 0): void
{
    $count = attempt(function () use (&$read, &$write, &$except, $microseconds) {
        return stream_select($read, $write, $except, 0, $microseconds);
    });
    $keys = fn (?array $set) => $set === null ? null : array_keys($set);
    say([$count, $keys($read), $keys($write), $keys($except)]);
}
look(['idle' => $client, 5 => $pipes[0]]);
look(['file' => $file, 'idle' => $client], ['client' => $client]);
fwrite($served, "one\ntwo\n");
fwrite($pipes[1], 'x');
usleep(20000);
look(['twice' => $client, 'again' => $client, 'pipe' => $pipes[0], 'listener' => $listener], [$client]);
stream_socket_sendto($served, '!', STREAM_OOB);
usleep(20000);
look([$pipes[0]], null, ['urgent' => $client]);
look([], [], []);
look(null, null, null);
look([fopen('php://memory', 'r')]);
look(["text" => "no stream", 'good' => $pipes[0]]);
foreach ([[-1, 0], [0, -1], [null, 5]] as [$seconds, $microseconds]) {
    $read = [$client];
    $none = null;
    attempt(fn () => stream_select($read, $none, $none, $seconds, $microseconds));
}
pcntl_async_signals(true);
pcntl_signal(SIGALRM, fn () => say('alarm'));
pcntl_alarm(1);
[$silent, $its_peer] = connected();
$read = ['kept' => $silent];
set_error_handler(fn ($level, $text) => say(preg_replace('/max_fd=\d+/', 'max_fd=N', $text)));
say(stream_select($read, $none, $none, 5));
say(array_keys($read));
fclose($client);
$read = [$client];
attempt(fn () => stream_select($read, $none, $none, 0));
