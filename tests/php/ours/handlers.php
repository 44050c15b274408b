<?php
// A handler of the script's keeps the stream in whose operation it runs: to close it there fails, in
// no Fiber, in one of the script's own and in a task. Stock PHP goes on with memory that was freed.
require __DIR__ . '/../report.php';

/** One whose writes fail. */
function broken(): mixed
{
    static $listener;
    $listener ??= stream_socket_server('tcp://127.0.0.1:0');
    $client = stream_socket_client('tcp://' . stream_socket_get_name($listener, false));
    stream_socket_shutdown($client, STREAM_SHUT_WR);
    return $client;
}

function closing(string $close): bool
{
    $client = broken();
    set_error_handler(function (int $level, string $text) use ($close, &$client) {
        say($text, @$close($client), error_get_last()['message'], is_resource($client));
    }, E_NOTICE);
    say(fwrite($client, 'lost'));
    restore_error_handler();
    return $close === 'pclose' ? $close($client) === 0 : $close($client);
}

foreach (['fclose', 'gzclose', 'pclose'] as $close) {
    say(closing($close));
}
$fiber = new Fiber(closing(...));
$fiber->start('fclose');
say($fiber->getReturn());
say(stream_socket_join(stream_socket_spawn(closing(...), 'fclose')));

// What leaves the handler early.
$client = broken();
set_error_handler(fn () => throw new Exception('thrown'));
try {
    fwrite($client, 'lost');
} catch (Exception $exception) {
    say($exception->getMessage(), fclose($client));
}
restore_error_handler();

// Another stream may be closed.
[$client, $other] = [broken(), broken()];
set_error_handler(fn () => fclose($other));
say(fwrite($client, 'lost'), is_resource($other), fclose($client));
restore_error_handler();

// A task does not wait for a handler that waits for it.
$client = broken();
set_error_handler(function () use ($client) {
    say(stream_socket_join(stream_socket_spawn(fn () => @fclose($client))), error_get_last()['message']);
});
say(fwrite($client, 'lost'), fclose($client));
restore_error_handler();

// Of its own Fiber a handler may be left for ever: the stream stays, and goes at the end.
$client = broken();
set_error_handler(fn () => Fiber::suspend());
$fiber = new Fiber(fn () => fwrite($client, 'lost'));
$fiber->start();
restore_error_handler();
say(@fclose($client), error_get_last()['message']);
$fiber->resume();
say($fiber->getReturn(), fclose($client));

// Of its end a fatal error leaves it.
$client = broken();
register_shutdown_function(fn () => say(fclose($client)));
set_error_handler(fn () => exit("left\n"));
fwrite($client, 'lost');
