<?php
// What servers do with a connection, in every manner of reading and writing. What a client is told
// depends on what it says, and not on when.
return [
    'lines by fgets' => function ($connection) {
        while (($line = fgets($connection)) !== false) {
            fwrite($connection, strtoupper($line));
        }
    },
    'lines until feof' => function ($connection) {
        for ($number = 1; !feof($connection); $number++) {
            // Whether the end has come is known only after the last line.
            if (($line = fgets($connection)) !== false) {
                fwrite($connection, "$number: $line");
            }
        }
    },
    'stream_get_line' => function ($connection) {
        while (($word = stream_get_line($connection, 4096, ' ')) !== false) {
            fwrite($connection, strrev($word) . '.');
        }
    },
    'fgetc' => function ($connection) {
        while (($byte = fgetc($connection)) !== false) {
            fwrite($connection, $byte === "\n" ? "|\n" : $byte);
        }
    },
    'all by stream_get_contents' => function ($connection) {
        $text = stream_get_contents($connection);
        fwrite($connection, strlen($text) . ' ' . md5($text) . "\n");
    },
    'blocks by fread' => function ($connection) {
        for ($block = '', $sum = 0; ; $block = '') {
            while (strlen($block) < 100 && ($piece = fread($connection, 100 - strlen($block))) !== '' && $piece !== false) {
                $block .= $piece;
            }
            if ($block === '') {
                break;
            }
            $sum = crc32($sum . $block);
            fwrite($connection, "$sum\n");
        }
    },
    'stream_copy_to_stream' => function ($connection) {
        $copy = fopen('php://memory', 'w+');
        stream_copy_to_stream($connection, $copy);
        rewind($copy);
        fwrite($connection, stream_copy_to_stream($copy, $connection) . "\n");
    },
    'a large answer' => function ($connection) {
        while (($line = fgets($connection)) !== false) {
            for ($round = 0; $round < 3; $round++) {
                fwrite($connection, str_repeat(md5($line . $round), 1000));
            }
        }
    },
    'a generator' => function ($connection) {
        $lines = (function () use ($connection) {
            while (($line = fgets($connection)) !== false) {
                yield strlen($line) => trim($line);
            }
        })();
        foreach ($lines as $length => $line) {
            fwrite($connection, "$length " . ucwords($line) . "\n");
        }
    },
    'stream_select' => function ($connection) {
        stream_set_blocking($connection, false);
        for ($text = ''; !feof($connection);) {
            $read = [$connection];
            $none = null;
            if (stream_select($read, $none, $none, 30)) {
                $text .= fread($connection, 8192);
            }
        }
        stream_set_blocking($connection, true);
        fwrite($connection, md5($text) . "\n");
    },
    'an output buffer' => function ($connection) {
        ob_start();
        while (($line = fgets($connection)) !== false) {
            echo ucfirst($line);
        }
        fwrite($connection, ob_get_clean());
    },
    'an exception caught, a finally' => function ($connection) {
        try {
            while (($line = fgets($connection)) !== false) {
                try {
                    strlen($line) % 3 ? fwrite($connection, $line) : throw new Exception($line);
                } catch (Exception $exception) {
                    fwrite($connection, '! ' . $exception->getMessage());
                }
            }
        } finally {
            fwrite($connection, "end\n");
        }
    },
    'a Fiber of its own' => function ($connection) {
        $reader = new Fiber(function () use ($connection) {
            while (($line = fgets($connection)) !== false) {
                Fiber::suspend($line);
            }
        });
        for ($line = $reader->start(); !$reader->isTerminated(); $line = $reader->resume()) {
            fwrite($connection, ">$line");
        }
    },
    'half closed' => function ($connection) {
        while (($line = fgets($connection)) !== false && trim($line) !== '') {
            fwrite($connection, $line);
        }
        stream_socket_shutdown($connection, STREAM_SHUT_WR);
        stream_get_contents($connection);
    },
];
