// AssemblyScript.
console.log("hello");
