<?php
// Amp's loop, which is on stream_select, and streams of our own making in it.
require __DIR__ . '/../report.php';
error_reporting(E_ALL & ~E_DEPRECATED);
require $argv[1] . '/usr/share/php/Amp/autoload.php';
foreach (['functions', 'Internal/functions'] as $file) {
    is_file($path = "$argv[1]/usr/share/php/Amp/$file.php") && require_once $path;
}

use Amp\Deferred;
use Amp\Delayed;
use Amp\Loop;
use Amp\Promise;

Loop::set(new Loop\NativeDriver());

/** When a stream may be read or written. */
function ready(mixed $stream, bool $is_written = false): Promise
{
    $deferred = new Deferred();
    $told = function (string $watcher) use ($deferred) {
        Loop::cancel($watcher);
        $deferred->resolve();
    };
    $is_written ? Loop::onWritable($stream, $told) : Loop::onReadable($stream, $told);
    return $deferred->promise();
}

/** Whatever is sent until the end. */
function received(mixed $stream): Promise
{
    return Amp\call(function () use ($stream) {
        for ($text = ''; !feof($stream); $text .= fread($stream, 8192)) {
            yield ready($stream);
        }
        return $text;
    });
}

function sent(mixed $stream, string $text): Promise
{
    return Amp\call(function () use ($stream, $text) {
        for ($writes = 0; $text !== ''; $writes++) {
            yield ready($stream, true);
            $text = substr($text, fwrite($stream, $text));
        }
        stream_socket_shutdown($stream, STREAM_SHUT_WR);
        return $writes;
    });
}

foreach (['tcp://127.0.0.1:0', 'tcp://[::1]:0', 'unix://' . socket_path()] as $url) {
    Loop::run(function () use ($url) {
        $context = stream_context_create(['socket' => ['backlog' => 128]]);
        $server = stream_socket_server($url, context: $context);
        stream_set_blocking($server, false);
        $accepting = Loop::onReadable($server, function () use ($server) {
            while ($served = @stream_socket_accept($server, 0)) {
                stream_set_blocking($served, false);
                Amp\asyncCall(function () use ($served) {
                    yield sent($served, strrev(yield received($served)));
                    fclose($served);
                });
            }
        });
        $name = strtok($url, ':') . '://' . stream_socket_get_name($server, false);
        $clients = [];
        for ($i = 0; $i < 40; $i++) {
            $clients[] = Amp\call(function () use ($name, $i) {
                $client = stream_socket_client($name, $number, $text, 5, STREAM_CLIENT_CONNECT | STREAM_CLIENT_ASYNC_CONNECT);
                stream_set_blocking($client, false);
                $question = str_repeat("client $i ", 1 + $i * 2000);
                [, $answer] = yield [sent($client, $question), received($client)];
                return strrev($answer) === $question;
            });
        }
        $right = yield $clients;
        say(strtok($url, ':') . ': ' . count(array_filter($right)) . ' right');
        $clock = microtime(true);
        yield new Delayed(50);
        say('a pause of 50 ms: ' . json_encode(microtime(true) - $clock >= 0.049));
        Loop::cancel($accepting);
        fclose($server);
    });
}

say('a time that is too short');
Loop::run(function () {
    [$one, $other] = stream_socket_pair(STREAM_PF_UNIX, STREAM_SOCK_STREAM, 0);
    try {
        yield Promise\timeout(received($one), 50);
    } catch (Amp\TimeoutException $late) {
        say($late->getMessage());
    }
    fwrite($other, 'late');
    fclose($other);
    say(fread($one, 100));
    Loop::stop();
});
say('done');
