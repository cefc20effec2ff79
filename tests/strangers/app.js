export function run(who) { return "hello " + who; }
