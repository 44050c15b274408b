<?php
// ReactPHP: servers and clients of every transport in one loop, which is on stream_select.
require __DIR__ . '/../report.php';
require __DIR__ . '/../certificate.php';
error_reporting(E_ALL & ~E_DEPRECATED);
require $argv[1] . '/usr/share/icingaweb2/modules/reactbundle/vendor/autoload.php';

use Psr\Http\Message\ResponseInterface;
use Psr\Http\Message\ServerRequestInterface;
use React\EventLoop\StreamSelectLoop;
use React\Http;
use React\Socket\ConnectionInterface;
use React\Socket\Connector;
use React\Socket\LimitingServer;
use React\Socket\Server;
use React\Stream\ThroughStream;

$loop = new StreamSelectLoop();
$folder = sys_get_temp_dir() . '/stream_socket_test.' . getmypid();
mkdir($folder);
register_shutdown_function(function () use ($folder) {
    array_map('unlink', glob("$folder/*"));
    rmdir($folder);
});

/** What a promise is kept with; says what broke it. */
function settled(React\Promise\PromiseInterface $promise): mixed
{
    global $loop;
    [$value, $is_settled] = [null, false];
    $late = $loop->addTimer(20, function () use ($loop) {
        say('never settled');
        $loop->stop();
    });
    $promise->then(
        function (mixed $kept) use (&$value) {
            $value = $kept;
        },
        fn (Throwable $broken) => say(get_class($broken) . ': ' . $broken->getMessage()),
    )->always(function () use ($loop, &$is_settled) {
        $is_settled = true;
        $loop->stop();
    });
    $is_settled || $loop->run();
    $loop->cancelTimer($late);
    return $value;
}

/** What comes back from an echo. */
function echoed(ConnectionInterface $client, string $text): React\Promise\PromiseInterface
{
    $answered = new React\Promise\Deferred();
    $answer = '';
    $client->on('data', function (string $data) use (&$answer, $text, $client) {
        $answer .= $data;
        strlen($answer) < strlen($text) || $client->close();
    });
    $client->on('close', function () use (&$answer, $answered) {
        $answered->resolve($answer);
    });
    $client->write($text);
    return $answered->promise();
}

$tls = ['local_cert' => certificate()];
$connector = new Connector($loop, ['dns' => false, 'tls' => ['verify_peer' => false, 'verify_peer_name' => false]]);
foreach (['tcp://127.0.0.1:0', 'tcp://[::1]:0', "unix://$folder/echo", 'tls://127.0.0.1:0'] as $url) {
    $server = new Server($url, $loop, ['tls' => $tls]);
    $names = [];
    $server->on('connection', function (ConnectionInterface $served) use (&$names) {
        $names[] = preg_replace('/:\d+$/', ':PORT', (string) $served->getRemoteAddress());
        $served->pipe($served);
    });
    $server->on('error', fn (Throwable $error) => say($error->getMessage()));
    $clients = [];
    for ($i = 0; $i < 30; $i++) {
        $text = str_repeat(chr(65 + $i % 26), 1 + $i * 5000);
        $clients[] = $connector->connect($server->getAddress())->then(fn ($client) => echoed($client, $text))
            ->then(fn (string $answer) => $answer === $text);
    }
    $right = settled(React\Promise\all($clients));
    say(strtok($url, ':') . ': ' . count(array_filter($right ?? [])) . ' right, of ' . count(array_unique($names)) . ' names');
    $server->close();
}

say('limited');
$server = new LimitingServer(new Server('127.0.0.1:0', $loop), 2, true);
$server->on('connection', fn (ConnectionInterface $served) => $served->pipe($served));
$clients = array_map(fn () => $connector->connect($server->getAddress()), range(1, 4));
$clients = settled(React\Promise\all($clients));
$served = settled(React\Promise\all(array_map(fn ($client) => echoed($client, 'x'), $clients)));
say(implode(',', $served));
$server->close();

say('refused');
settled($connector->connect('127.0.0.1:1'));
settled($connector->connect("unix://$folder/nobody"));
attempt(fn () => new Server('127.0.0.1:99999', $loop));
$kept = new Server('127.0.0.1:0', $loop);
attempt(fn () => new Server($kept->getAddress(), $loop));
$kept->close();

say('too late');
$full = stream_socket_server('tcp://127.0.0.1:0');
$impatient = new Connector($loop, ['dns' => false, 'timeout' => 0.2]);
settled($impatient->connect('tls://' . stream_socket_get_name($full, false)));
fclose($full);

say('http');
$http = new Http\Server($loop, function (ServerRequestInterface $request) use ($loop) {
    if ($request->getUri()->getPath() === '/slow') {
        $body = new ThroughStream();
        foreach ([0.01, 0.02, 0.03] as $number => $time) {
            $loop->addTimer($time, fn () => $number < 2 ? $body->write("part $number\n") : $body->end('end'));
        }
        return new Http\Message\Response(200, ['Content-Type' => 'text/plain'], $body);
    }
    $answer = $request->getMethod() . ' ' . $request->getUri()->getPath() . ' ' . md5((string) $request->getBody());
    return new Http\Message\Response($request->getUri()->getPath() === '/gone' ? 410 : 200, [], $answer);
});
foreach (['http' => 'tcp://127.0.0.1:0', 'https' => 'tls://127.0.0.1:0'] as $scheme => $url) {
    $server = new Server($url, $loop, ['tls' => $tls]);
    $http->listen($server);
    $base = str_replace(['tcp:', 'tls:'], ['http:', 'https:'], $server->getAddress());
    $browser = new Http\Browser($loop, $connector);
    $text = fn (ResponseInterface $response) => $response->getStatusCode() . ' ' . $response->getBody();
    say(settled($browser->get("$base/one")->then($text)));
    say(settled($browser->post("$base/two", [], str_repeat('post', 10_000))->then($text)));
    say(settled($browser->get("$base/slow")->then($text)));
    say(settled($browser->get("$base/gone")->then($text)));
    $many = array_map(fn ($i) => $browser->get("$base/$i")->then($text), range(1, 20));
    say(implode(' ', settled(React\Promise\all($many)) ?? []));
    $server->close();
}

say('datagrams');
$factory = new React\Datagram\Factory($loop, new React\Dns\Resolver\Resolver(new React\Dns\Query\TcpTransportExecutor('127.0.0.1', $loop)));
$server = settled($factory->createServer('127.0.0.1:0'));
$server->on('message', fn (string $text, string $from, $socket) => $socket->send(strrev($text), $from));
$client = settled($factory->createClient($server->getLocalAddress()));
$answers = [];
$client->on('message', function (string $text) use (&$answers, $loop) {
    $answers[] = $text;
    count($answers) < 5 || $loop->stop();
});
array_map([$client, 'send'], ['one', 'two', '', 'three', str_repeat('x', 9000)]);
$late = $loop->addTimer(5, fn () => $loop->stop());
$loop->run();
$loop->cancelTimer($late);
say(array_map(fn ($text) => strlen($text) > 10 ? strlen($text) : $text, $answers));
$client->close();
$server->close();

say('signals and pauses');
$server = new Server('127.0.0.1:0', $loop);
$served = new React\Promise\Deferred();
$server->on('connection', [$served, 'resolve']);
$client = settled($connector->connect($server->getAddress()));
$served = settled($served->promise());
$served->pause();
$client->write('held');
$loop->addSignal(SIGUSR1, $told = function () use ($served) {
    say('a signal');
    $served->resume();
});
$served->on('data', function (string $text) use ($loop) {
    say($text);
    $loop->stop();
});
$loop->addTimer(0.05, fn () => posix_kill(posix_getpid(), SIGUSR1));
$loop->run();
$loop->removeSignal(SIGUSR1, $told);
$served->on('close', fn () => $loop->stop());
$client->close();
$loop->run();
$server->close();
say('done');
