#include <iostream>
#include <map>
#include <string>

int main(int count, char **words) {
  std::map<std::string, int> seen;
  for (int nth = 0; nth < count; nth++) seen[words[nth]]++;
  for (auto &[word, times] : seen) std::cout << word << " " << times << std::endl;
}
