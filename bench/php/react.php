<?php
// An echo server by ReactPHP, on its loop of stream_select: php react.php ADDRESS FOLDER.
error_reporting(E_ALL & ~E_DEPRECATED);
require "$argv[2]/usr/share/icingaweb2/modules/reactbundle/vendor/autoload.php";

$loop = new React\EventLoop\StreamSelectLoop();
$server = new React\Socket\TcpServer($argv[1], $loop, ['backlog' => 4096]);
$server->on('connection', function (React\Socket\ConnectionInterface $connection) {
    $connection->on('data', [$connection, 'write']);
});
$loop->run();
