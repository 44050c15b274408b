<?php
// What suspends a Fiber alone: the server and all of its clients run in this one process.
$server = stream_socket_server('tcp://127.0.0.1:0');
$address = stream_socket_get_name($server, false);

function client(): mixed
{
    return stream_socket_client("tcp://$GLOBALS[address]", $errno, $error, 5);
}

function asking(string $command): mixed
{
    $client = client();
    fwrite($client, "$command\n");
    return $client;
}

function handler($connection): void
{
    switch (trim(fgets($connection))) {
        case 'echo':
            while (($line = fgets($connection)) !== false) {
                fwrite($connection, $line);
            }
            break;
        case 'silent':
            fread($connection, 100);
            break;
        case 'count':
            for ($count = 0; !feof($connection); $count += strlen(fread($connection, 8192)));
            fwrite($connection, "$count");
            break;
        case 'late':
            usleep(50000);
            fwrite($connection, "late\n");
            fgets($connection);
            break;
        case 'bye':
            fwrite($connection, "bye\n");
    }
}

function check(string $what, callable $test): void
{
    $begun = microtime(true);
    $said = json_encode($test());
    $took = microtime(true) - $begun;
    echo "$what: $said", $took > 2 ? " after $took s" : '', "\n";
}

$tests = [
    'a task is a Fiber' => fn () => Fiber::getCurrent() !== null,
    'fgets, fwrite' => function () {
        $client = asking('echo');
        fwrite($client, "hello\n");
        return fgets($client);
    },
    'stream_get_line' => function () {
        $client = asking('echo');
        fwrite($client, "one;two\n");
        return [stream_get_line($client, 100, ';'), stream_get_line($client, 100, "\n")];
    },
    'a timeout' => function () {
        $client = asking('silent');
        stream_set_timeout($client, 0, 100000);
        $begun = microtime(true);
        $line = fgets($client);
        return [$line, stream_get_meta_data($client)['timed_out'], microtime(true) - $begun >= 0.1];
    },
    'back-pressure, feof, stream_get_contents' => function () {
        $client = asking('count');
        $writing = stream_socket_spawn(function () use ($client) {
            $written = fwrite($client, str_repeat('x', 4_000_000));
            stream_socket_shutdown($client, STREAM_SHUT_WR);
            return $written;
        });
        return [stream_get_contents($client), stream_socket_join($writing)];
    },
    'stream_copy_to_stream' => function () {
        $copy = fopen('php://memory', 'w+');
        $copied = stream_copy_to_stream(asking('bye'), $copy);
        rewind($copy);
        return [$copied, fgets($copy)];
    },
    'usleep in parallel' => function () {
        $begun = microtime(true);
        $sleep = function ($number) {
            usleep(100000);
            return $number ** 2;
        };
        $tasks = array_map(fn ($number) => stream_socket_spawn($sleep, $number), range(0, 19));
        $sum = array_sum(array_map('stream_socket_join', $tasks));
        $took = microtime(true) - $begun;
        return [$sum, $took >= 0.1 && $took < 1.5];
    },
    'sleep, time_nanosleep, time_sleep_until' => function () {
        return [sleep(0), time_nanosleep(0, 1000), time_sleep_until(microtime(true) + 0.01)];
    },
    'a second reader' => function () {
        $client = asking('silent');
        $reader = stream_socket_spawn(fn () => fgets($client));
        usleep(10000);
        $line = @fgets($client);
        $warning = error_get_last()['message'];
        fclose($client);
        return [$line, $warning, stream_socket_join($reader)];
    },
    'stream_select' => function () {
        $streams = ['silent' => asking('silent'), 'late' => asking('late')];
        $none = null;
        $count = stream_select($streams, $none, $none, 5);
        return [$count, array_keys($streams), fgets($streams['late'])];
    },
    'stream_select in vain' => function () {
        $streams = [asking('silent')];
        $none = null;
        return [stream_select($streams, $none, $none, 0, 50000), $streams];
    },
    'stream_select to write' => function () {
        $read = $write = [asking('silent')];
        $none = null;
        return [stream_select($read, $write, $none, 1), count($read), count($write)];
    },
    'feof at the end' => function () {
        $client = asking('bye');
        for ($text = ''; !feof($client); $text .= fgets($client));
        return $text;
    },
    'a generator in a Fiber of the script' => function () {
        $lines = (function () {
            $client = asking('late');
            yield 'first';
            yield fgets($client);
        })();
        $fiber = new Fiber(function () use ($lines) {
            foreach ($lines as $line) {
                Fiber::suspend($line);
            }
            return 'end';
        });
        $said = [$fiber->start(), $fiber->resume()];
        $fiber->resume();
        return [...$said, $fiber->getReturn()];
    },
    'within usort and array_map' => function () {
        $client = asking('echo');
        $ask = function ($word) use ($client) {
            fwrite($client, "$word\n");
            return trim(fgets($client));
        };
        $words = ['b', 'c', 'a'];
        usort($words, fn ($one, $other) => strcmp($ask($one), $ask($other)));
        return array_map($ask, $words);
    },
    'a refused connect' => function () {
        $client = @stream_socket_client('tcp://127.0.0.1:1', $errno, $error, 1);
        return [$client, $errno, $error];
    },
    'fsockopen' => function () {
        [$host, $port] = explode(':', $GLOBALS['address']);
        $client = fsockopen($host, (int) $port, $errno, $error, 5);
        fwrite($client, "bye\n");
        return fgets($client);
    },
    'stream_socket_accept' => function () {
        $listener = stream_socket_server('tcp://127.0.0.1:0');
        stream_socket_spawn(function () use ($listener) {
            usleep(20000);
            $client = stream_socket_client('tcp://' . stream_socket_get_name($listener, false));
            fwrite($client, 'x');
        });
        $accepted = stream_socket_accept($listener, 5, $peer);
        $in_vain = @stream_socket_accept($listener, 0.05);
        return [fread($accepted, 10), str_starts_with($peer, '127.0.0.1:'), $in_vain,
            error_get_last()['message']];
    },
    'stream_socket_recvfrom over udp' => function () {
        $server = stream_socket_server('udp://127.0.0.1:0', $errno, $error, STREAM_SERVER_BIND);
        $address = stream_socket_get_name($server, false);
        $answer = stream_socket_spawn(function () use ($server) {
            $said = stream_socket_recvfrom($server, 100, 0, $peer);
            return stream_socket_sendto($server, strrev($said), 0, $peer);
        });
        usleep(1000);
        $client = stream_socket_client("udp://$address");
        fwrite($client, 'abc');
        return [fread($client, 100), stream_socket_join($answer)];
    },
    'a connect, a read and a write over unix' => function () {
        $path = sys_get_temp_dir() . '/stream_socket_' . getmypid();
        $listener = stream_socket_server("unix://$path");
        $client = stream_socket_spawn(function () use ($path) {
            $client = stream_socket_client("unix://$path");
            fwrite($client, "hello\n");
            return fgets($client);
        });
        $accepted = stream_socket_accept($listener);
        fwrite($accepted, strtoupper(fgets($accepted)));
        unlink($path);
        return stream_socket_join($client);
    },
    'output buffers' => function () {
        $task = function ($number) {
            ob_start();
            echo "a$number ";
            usleep(1000 * $number);
            echo "b$number";
            return ob_get_clean();
        };
        $tasks = array_map(fn ($number) => stream_socket_spawn($task, $number), [3, 2, 1]);
        return array_map('stream_socket_join', $tasks);
    },
    'what a task throws' => function () {
        $task = stream_socket_spawn(fn () => throw new DomainException('thrown'));
        usleep(1000);
        try {
            stream_socket_join($task);
        } catch (DomainException $exception) {
            return $exception->getMessage();
        }
    },
    'tasks that wait for the end of one another' => function () {
        $tasks = [];
        $task = function (int $other) use (&$tasks) {
            try {
                return stream_socket_join($tasks[$other]);
            } catch (Error $error) {
                return $error->getMessage();
            }
        };
        array_push($tasks, ...array_map(fn ($other) => stream_socket_spawn($task, $other), [1, 2, 0, 3]));
        return [stream_socket_join($tasks[0]), stream_socket_join($tasks[3])];
    },
    'a connect without time, to what answers at once' => function () use ($address) {
        $path = sys_get_temp_dir() . '/stream-socket-' . getmypid() . '.sock';
        $listener = stream_socket_server("unix://$path");
        $opened = array_map(fn ($url) => @stream_socket_client($url, $errno, $error, 0), ["tcp://$address", "unix://$path"]);
        unlink($path);
        return array_map('is_resource', $opened);
    },
    'reads without time find what has come since' => function () {
        $listener = stream_socket_server('tcp://127.0.0.1:0');
        $peer = stream_socket_client('tcp://' . stream_socket_get_name($listener, false));
        $accepted = stream_socket_accept($listener);
        stream_set_timeout($accepted, 0);
        $read = [fgets($accepted)];
        fwrite($peer, "bye\n");
        for ($tries = 0; end($read) === false && $tries < 100; $tries++) {
            usleep(10000);
            $read[] = fgets($accepted);
        }
        return [reset($read), end($read)];
    },
    'a destructor that the collector runs' => function () {
        $client = asking('late');
        $object = new class ($client) {
            public $self;
            public $line;
            function __construct(private $client)
            {
                $this->self = $this;
            }
            function __destruct()
            {
                // Here Zend forbids to switch: it really blocks, and the server with it.
                stream_set_timeout($this->client, 0, 50000);
                $GLOBALS['line'] = fgets($this->client);
            }
        };
        $object = null;
        return [gc_collect_cycles() > 0, $GLOBALS['line']];
    },
];

stream_socket_spawn(function () use ($tests) {
    foreach ($tests as $what => $test) {
        check($what, $test);
    }
    stream_socket_serve_stop();
});
$counters = stream_socket_serve($server, 'handler', ['drain' => 1]);
echo json_encode(['failed' => $counters['failed'], 'all' => $counters['accepted'] === $counters['finished']]), "\n";
