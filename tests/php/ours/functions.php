<?php
// What phpinfo() and reflection tell, and the stub file that editors read.
require __DIR__ . '/../report.php';
foreach ((new ReflectionExtension('stream_socket'))->getFunctions() as $function) {
    if (str_starts_with($function->name, '{')) {
        continue;
    }
    $parameters = array_map(fn ($parameter) => trim(($parameter->getType() ?? '') . ' '
        . ($parameter->isVariadic() ? '...' : '') . '$' . $parameter->name
        . ($parameter->isDefaultValueAvailable() ? ' = ' . str_replace('NULL', 'null',
            $parameter->getDefaultValue() === [] ? '[]' : var_export($parameter->getDefaultValue(), true)) : '')),
        $function->getParameters());
    $type = $function->hasReturnType() ? ': ' . $function->getReturnType() : '';
    $signatures[] = "function $function->name(" . implode(', ', $parameters) . ")$type {}";
}
$stub = file_get_contents(__DIR__ . '/../../../crates/stream-socket-php/stubs/stream_socket.stub.php');
preg_match_all('/^function .*$/m', $stub, $found);
say($signatures, array_values(array_diff($signatures, $found[0])), array_values(array_diff($found[0], $signatures)));
ob_start();
(new ReflectionExtension('stream_socket'))->info();
preg_match_all('/^(Transports .*|TLS =.*|Sockets open.*|stream_socket\..*)$/m', ob_get_clean(), $rows);
say(...$rows[0]);
