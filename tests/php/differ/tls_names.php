<?php
// A client with a good certificate, of a server that has one of its own for the name that is asked for.
require __DIR__ . '/../report.php';
require __DIR__ . '/../certificate.php';

$root = issue('Root');
$site = issue('site.test', $root, 'usr_cert')['file'];
$options = ['local_cert' => issue('localhost')['file'], 'SNI_server_certs' => ['site.test' => $site]];
$options += ['cafile' => holding($root['text']), 'verify_peer' => true];
foreach (['other.test', 'site.test'] as $name) {
    say($name, shaken($options, ['local_cert' => $site, 'peer_name' => $name])[0] !== null);
}
